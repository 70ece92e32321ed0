//! Selection among overlapping boxes: `non_maximum_suppression` of MIL's `tensor_operation.py`.
//!
//! Flow: rows of the table in `ops.rs`. ONNX's own operator counts by class and engines disagree
//! about it, so this is the definition as a loop: take the best box that is left, strike out what
//! overlaps it, as often as boxes are wanted.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, declared};
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::{CoreML5, CoreML7};
use crate::op::{Op, op, opt, req};

/// The rows.
pub(super) const OPS: &[Op] = &[
    op(
        "non_maximum_suppression",
        &[CoreML5],
        &[
            req("boxes"),
            req("scores"),
            req("iou_threshold"),
            req("score_threshold"),
            req("max_boxes"),
            opt("per_class_suppression"),
        ],
        suppress_rows,
    ),
    op(
        "non_maximum_suppression",
        &[CoreML7],
        &[
            req("boxes"),
            req("scores"),
            req("iou_threshold"),
            req("max_boxes"),
            opt("per_class_suppression"),
        ],
        suppress_columns,
    ),
];

/// Boxes in rows: gives boxes, scores, indices and their number for each batch element.
fn suppress_rows(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (boxes, scores) = (a.tensor(g, "boxes")?, a.tensor(g, "scores")?);
    let chosen = Chosen::select(a, g, &boxes, &scores)?;
    let results =
        [chosen.rows(g, &boxes), chosen.rows(g, &scores), chosen.indices(g), chosen.number(g)];
    results.into_iter().for_each(|result| g.give(result));
    Ok(())
}

/// Boxes in columns, as since iOS 17: gives boxes, scores and indices.
fn suppress_columns(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (boxes, scores) = (a.tensor(g, "boxes")?, a.tensor(g, "scores")?);
    let (boxes, scores) = (g.transpose(&boxes, &[0, 2, 1]), g.transpose(&scores, &[0, 2, 1]));
    let chosen = Chosen::select(a, g, &boxes, &scores)?;
    for rows in [&boxes, &scores] {
        let rows = chosen.rows(g, rows);
        let columns = g.transpose(&rows, &[0, 2, 1]);
        g.give(columns);
    }
    let indices = chosen.indices(g);
    g.give(indices);
    Ok(())
}

/// Boxes, each coordinate of shape [batch, boxes].
struct Boxes {
    /// Left, top, right, bottom.
    edges: Vec<Value>,
    /// Area.
    area: Value,
    /// Best class; `None` when all classes compete.
    class: Option<Value>,
}

impl Boxes {
    /// Takes boxes of shape [batch, boxes, 4] with centre x, centre y, width and height apart.
    fn new(g: &mut Graph, boxes: &Value, class: Option<Value>) -> Self {
        let attributes =
            vec![AttributeProto::int("axis", 2), AttributeProto::int("num_outputs", 4)];
        let parts = g.nodes("Split", &[boxes], 4, attributes);
        let parts: Vec<Value> = parts.iter().map(|part| g.squeeze(part, &[2])).collect();
        let mut edges = Vec::new();
        for op_type in ["Sub", "Add"] {
            for axis in 0..2 {
                let half = g.scale(&parts[axis + 2], 0.5);
                edges.push(g.node(op_type, &[&parts[axis], &half], Vec::new()));
            }
        }
        let area = g.node("Mul", &[&parts[2], &parts[3]], Vec::new());
        Self { edges, area, class }
    }

    /// Returns whether each box overlaps the box at `top`, of shape [batch, 1], by more than
    /// `threshold`.
    fn overlap(&self, g: &mut Graph, top: &Value, threshold: &Value) -> Value {
        let mut at =
            |x: &Value| g.node("GatherElements", &[x, top], vec![AttributeProto::int("axis", 1)]);
        let best: Vec<Value> = self.edges.iter().map(&mut at).collect();
        let best_area = at(&self.area);
        let best_class = self.class.as_ref().map(at);
        let zero = g.float(0.0);
        let mut shared: Option<Value> = None;
        for axis in 0..2 {
            let end = g.node("Min", &[&self.edges[axis + 2], &best[axis + 2]], Vec::new());
            let start = g.node("Max", &[&self.edges[axis], &best[axis]], Vec::new());
            let length = g.node("Sub", &[&end, &start], Vec::new());
            let length = g.node("Max", &[&length, &zero], Vec::new());
            shared = Some(match shared {
                None => length,
                Some(other) => g.node("Mul", &[&other, &length], Vec::new()),
            });
        }
        let shared = shared.unwrap_or(zero);
        let both = g.node("Add", &[&self.area, &best_area], Vec::new());
        let union = g.node("Sub", &[&both, &shared], Vec::new());
        let ratio = g.node("Div", &[&shared, &union], Vec::new());
        let over = g.node("Greater", &[&ratio, threshold], Vec::new());
        match (&self.class, best_class) {
            (Some(class), Some(best)) => {
                let rivals = g.node("Equal", &[class, &best], Vec::new());
                g.node("And", &[&over, &rivals], Vec::new())
            }
            _ => over,
        }
    }
}

/// The chosen boxes of each batch element, best first.
struct Chosen {
    /// Positions of boxes, of shape [batch, limit]; 0 behind the last chosen one.
    positions: Value,
    /// Whether a position is one of a chosen box.
    chosen: Value,
}

impl Chosen {
    /// Selects boxes. When no score passes the threshold, the best box is taken all the same.
    ///
    /// Parameters: `boxes` — of shape [batch, boxes, 4]; `scores` — of shape [batch, boxes,
    /// classes].
    fn select(
        a: &Args<'_, '_>,
        g: &mut Graph,
        boxes: &Value,
        scores: &Value,
    ) -> Result<Self, OpError> {
        let limit = g.int(a.need("max_boxes")?);
        let threshold = g.float(a.need("iou_threshold")?);
        let best = g.reduce("ReduceMax", scores, &[2], false);
        let class = a.get_or("per_class_suppression", false)?.then(|| g.argmax(scores, 2, false));
        let boxes = Boxes::new(g, boxes, class);
        let shape = g.shape(&best);
        let count = g.slice(&shape, &[1], &[2], &[0], &[1]);
        let count = g.squeeze(&count, &[0]);
        let (zero, one) = (g.int(0), g.int(1));
        let all = g.node("Range", &[&zero, &count, &one], Vec::new());
        // What is left: scores, and minus infinity for boxes that are out.
        let out = g.float(f32::NEG_INFINITY);
        let minimum = g.float(a.get_or("score_threshold", f32::NEG_INFINITY)?);
        let passes = g.node("Greater", &[&best, &minimum], Vec::new());
        let top = g.argmax(&best, 1, true);
        let is_top = g.node("Equal", &[&top, &all], Vec::new());
        let enter = g.node("Or", &[&passes, &is_top], Vec::new());
        let left = g.node("Where", &[&enter, &best, &out], Vec::new());
        let always = g.int(1);
        let always = g.cast(&always, ElementType::Bool);
        let body = g.body(|g| {
            let (number, proceed, left) = (g.input("rank"), g.input("proceed"), g.input("left"));
            let top = g.argmax(&left, 1, true);
            let value = g.reduce("ReduceMax", &left, &[1], true);
            let found = g.node("Greater", &[&value, &out], Vec::new());
            let found = g.cast(&found, ElementType::Int32);
            let over = boxes.overlap(g, &top, &threshold);
            let itself = g.node("Equal", &[&all, &top], Vec::new());
            let gone = g.node("Or", &[&over, &itself], Vec::new());
            let rest = g.node("Where", &[&gone, &out, &left], Vec::new());
            let again = g.node("Identity", &[&proceed], Vec::new());
            let inputs = vec![
                declared(&number, ElementType::Int64, Some(0)),
                declared(&proceed, ElementType::Bool, Some(0)),
                declared(&left, ElementType::Float, Some(2)),
            ];
            let outputs = vec![
                declared(&again, ElementType::Bool, Some(0)),
                declared(&rest, ElementType::Float, Some(2)),
                declared(&top, ElementType::Int64, Some(2)),
                declared(&found, ElementType::Int32, Some(2)),
            ];
            Ok::<_, OpError>((inputs, outputs))
        })?;
        let outputs = g.nodes(
            "Loop",
            &[&limit, &always, &left],
            3,
            vec![AttributeProto::graph("body", body)],
        );
        // From [limit, batch, 1] to [batch, limit].
        let mut turned = outputs[1..].iter().map(|steps| {
            let flat = g.squeeze(steps, &[2]);
            g.transpose(&flat, &[1, 0])
        });
        let (Some(tops), Some(found)) = (turned.next(), turned.next()) else {
            return Err(OpError::invalid("the loop has no results"));
        };
        drop(turned);
        let chosen = g.cast(&found, ElementType::Bool);
        let positions = g.node("Where", &[&chosen, &tops, &zero], Vec::new());
        Ok(Self { positions, chosen })
    }

    /// Returns the rows of `x`, of shape [batch, boxes, …], for the chosen boxes; zeros behind
    /// them.
    fn rows(&self, g: &mut Graph, x: &Value) -> Value {
        let indices = g.unsqueeze(&self.positions, &[2]);
        let rows = g.node("GatherND", &[x, &indices], vec![AttributeProto::int("batch_dims", 1)]);
        let mask = g.unsqueeze(&self.chosen, &[2]);
        let zero = g.float(0.0);
        g.node("Where", &[&mask, &rows, &zero], Vec::new())
    }

    /// Returns the positions, and -1 behind the chosen boxes.
    fn indices(&self, g: &mut Graph) -> Value {
        let none = g.int(-1);
        let indices = g.node("Where", &[&self.chosen, &self.positions, &none], Vec::new());
        g.cast(&indices, ElementType::Int32)
    }

    /// Returns the number of chosen boxes.
    fn number(&self, g: &mut Graph) -> Value {
        let ones = g.cast(&self.chosen, ElementType::Int32);
        g.reduce("ReduceSum", &ones, &[1], false)
    }
}
