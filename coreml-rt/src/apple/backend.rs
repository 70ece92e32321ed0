//! A model that Core ML has loaded.
//!
//! Owns: the model, its lock, and synchronous predictions. Must not: know typed tensors.
//! Flow: `native.rs` chooses it; here → `loading.rs` at load; `features.rs`, `results.rs` at each
//! prediction; `asynchronous.rs` has the non-blocking predictions.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::asynchronous::Request;
use super::backing::{Backings, Refused};
use super::failure::{CoreMlError, guard, translate};
use super::features::{Features, Sizes};
use super::gate::{Gate, Pass};
use super::loading::Source;
use super::plan;
use super::results::{CoreMlResults, Value, read};
use super::state::CoreMlState;
use crate::backend::{Awaited, Backend};
use crate::compute_plan::ComputePlan;
use crate::error::Error;
use crate::opened::OpenedModel;
use crate::options::LoadOptions;
use crate::slot::{InputRef, OutputSlot, Results};
use coreml_spec::Function;
use objc2::AnyThread;
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_core_ml::{MLArrayBatchProvider, MLBatchProvider, MLFeatureProvider, MLModel};
use objc2_foundation::NSArray;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A loaded model, behind a lock, because Apple says: "Use an MLModel instance on one thread or one
/// dispatch queue at a time."
pub(crate) struct CoreMlBackend {
    /// What never changes.
    features: Arc<Features>,
    /// What one thread at a time uses.
    predictor: Mutex<Predictor>,
    /// Which outputs Core ML does not write into the caller's memory.
    refused: Arc<Refused>,
    /// Whether predictions wait for those of other models.
    waits: bool,
    /// What it was loaded from, to ask for a plan.
    source: Source,
}

/// Passed by the predictions of models that run one at a time.
static GATE: Gate = Gate::new();

/// The model, and memory that each prediction uses again.
struct Predictor {
    /// The model.
    model: Retained<MLModel>,
    /// Sizes of the last inputs.
    sizes: Vec<Sizes>,
    /// Outputs of the running prediction.
    values: Vec<Value>,
}

// SAFETY: none of these objects belongs to a thread: Apple allows an MLModel on any thread as long
// as it is one at a time; arrays of numbers are immutable; nobody else has the values of the
// outputs. `CoreMlBackend` lends all of them only under its lock, and `Send` claims no more than
// one thread at a time.
unsafe impl Send for Predictor {}

impl Backend for CoreMlBackend {
    type State = CoreMlState;

    fn load(
        model: &OpenedModel,
        function: &Function,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let name = &model.name;
        // Core ML takes the name of a function only for packages that have several.
        let is_one_of_several = model.interface.functions.len() > 1;
        let source = Source {
            name: name.clone(),
            location: model.location.clone(),
            function: is_one_of_several.then(|| function.name.clone()),
            options: options.clone(),
        };
        let load = || Ok((source.load()?, Features::of(name, function)));
        let (model, features) = guard(load).flatten().map_err(|error| translate(name, error))?;
        let predictor = Predictor { model, sizes: Vec::new(), values: Vec::new() };
        Ok(Self {
            features: Arc::new(features),
            predictor: Mutex::new(predictor),
            refused: Arc::default(),
            waits: options.waits_for_other_models(),
            source,
        })
    }

    fn name(&self) -> &str {
        "Core ML"
    }

    fn new_state(&self) -> Result<CoreMlState, Error> {
        let predictor = self.lock();
        guard(|| CoreMlState::of(&predictor.model, &self.features.function))
            .flatten()
            .map_err(|error| self.translate(error))
    }

    fn predict(
        &self,
        state: Option<&mut CoreMlState>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        let _gate = self.gate();
        let mut predictor = self.lock();
        let mut backings = Backings::default();
        let run = guard(|| {
            predictor
                .run(&self.features, state, inputs, outputs, (&mut backings, &self.refused))
                .map_err(|error| self.translate(error))?;
            let results = CoreMlResults { features: &self.features, values: &predictor.values };
            backings.copy_rest(&results, outputs)
        });
        let run = self.cleared(&mut predictor, run);
        // After the pool is gone, and with it what Core ML may have held of the prediction.
        if guard(|| backings.give_back(outputs)).is_err() {
            return run.and(Err(self.translate(CoreMlError::Unexpected(
                "the memory of an output was lost".to_owned(),
            ))));
        }
        run
    }

    /// As one request.
    fn predict_batch(
        &self,
        batch: &[&[InputRef<'_>]],
        take: &mut dyn FnMut(&dyn Results) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _gate = self.gate();
        let mut predictor = self.lock();
        let run = guard(|| {
            let results = predictor
                .run_batch(&self.features, batch)
                .map_err(|error| self.translate(error))?;
            for index in 0..batch.len() {
                // SAFETY: the results are as many as the batch has elements, which was checked.
                let results = unsafe { results.featuresAtIndex(index.cast_signed()) };
                read(&self.features, &results, &mut predictor.values)
                    .map_err(|error| self.translate(error))?;
                take(&CoreMlResults { features: &self.features, values: &predictor.values })?;
            }
            Ok(())
        });
        self.cleared(&mut predictor, run)
    }

    fn predict_async(
        &self,
        state: Option<CoreMlState>,
        inputs: &[InputRef<'_>],
        awaited: Box<dyn Awaited<CoreMlState>>,
    ) {
        let (features, refused) = (Arc::clone(&self.features), Arc::clone(&self.refused));
        let request = {
            let Predictor { model, sizes, .. } = &mut *self.lock();
            Request::new(model, features, refused, awaited, state, |features, state| {
                features.provider(inputs, state, sizes)
            })
        };
        match request {
            Some(request) if self.waits => GATE.let_in(move |pass| request.start(Some(pass))),
            Some(request) => request.start(None),
            None => {}
        }
    }

    fn compute_plan(&self) -> Result<ComputePlan, Error> {
        guard(|| plan::of(&self.source)).flatten().map_err(|error| self.translate(error))
    }
}

impl CoreMlBackend {
    /// Waits until no other model predicts, if the options say so.
    fn gate(&self) -> Option<Pass> {
        self.waits.then(|| GATE.enter())
    }

    /// Locks the model. After a panic the scratch holds values of an earlier prediction, which the
    /// next one overwrites.
    fn lock(&self) -> MutexGuard<'_, Predictor> {
        self.predictor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the values of a prediction, in a pool of its own: releasing an array may
    /// autorelease others.
    fn cleared(
        &self,
        predictor: &mut Predictor,
        run: Result<Result<(), Error>, CoreMlError>,
    ) -> Result<(), Error> {
        let cleared = guard(|| predictor.values.iter_mut().for_each(Value::clear));
        run.and_then(|run| cleared.map(|()| run)).map_err(|error| self.translate(error))?
    }

    /// Makes an error of the runtime.
    fn translate(&self, error: CoreMlError) -> Error {
        translate(&self.features.model, error)
    }
}

impl Predictor {
    /// Feeds the inputs, predicts, and keeps the values of all outputs.
    fn run(
        &mut self,
        features: &Features,
        state: Option<&mut CoreMlState>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
        (backings, refused): (&mut Backings, &Refused),
    ) -> Result<(), CoreMlError> {
        let provider = features.provider(inputs, state.as_deref(), &mut self.sizes)?;
        let options = backings.lend(features, outputs, refused)?;
        let (inputs, model) = (ProtocolObject::from_ref(&*provider), &self.model);
        let results = match (state, options) {
            (Some(state), options) => state.predict(model, inputs, options.as_deref())?,
            // SAFETY: the caller holds the lock, so no other thread uses the model.
            (None, None) => unsafe { model.predictionFromFeatures_error(inputs) }?,
            (None, Some(options)) => {
                // SAFETY: as above; the backings hold what Core ML writes into.
                unsafe { model.predictionFromFeatures_options_error(inputs, &options) }?
            }
        };
        read(features, &results, &mut self.values)?;
        backings.compare(&self.values, refused);
        Ok(())
    }

    /// Feeds a batch and predicts.
    fn run_batch(
        &mut self,
        features: &Features,
        batch: &[&[InputRef<'_>]],
    ) -> Result<Retained<ProtocolObject<dyn MLBatchProvider>>, CoreMlError> {
        let mut providers: Vec<Retained<ProtocolObject<dyn MLFeatureProvider>>> =
            Vec::with_capacity(batch.len());
        for inputs in batch {
            providers.push(ProtocolObject::from_retained(features.provider(
                inputs,
                None,
                &mut self.sizes,
            )?));
        }
        let providers = NSArray::from_retained_slice(&providers);
        // SAFETY: an array of feature providers, which the batch keeps alive.
        let batch_provider = unsafe {
            MLArrayBatchProvider::initWithFeatureProviderArray(
                MLArrayBatchProvider::alloc(),
                &providers,
            )
        };
        // SAFETY: the caller holds the lock, so no other thread uses the model.
        let results = unsafe {
            self.model.predictionsFromBatch_error(ProtocolObject::from_ref(&*batch_provider))
        }?;
        // SAFETY: a getter.
        let count = unsafe { results.count() };
        if usize::try_from(count) != Ok(batch.len()) {
            return Err(CoreMlError::Unexpected(format!(
                "{count} results for a batch of {}",
                batch.len()
            )));
        }
        Ok(results)
    }
}
