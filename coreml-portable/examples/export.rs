//! Writes a package as an ONNX file: `export MODEL.mlpackage MODEL.onnx`.

use coreml_spec::Package;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(package), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: export MODEL.mlpackage MODEL.onnx".into());
    };
    let onnx = coreml_portable::to_onnx(&Package::open(package)?, None)?;
    println!("opset {}, {} bytes of weights", onnx.opset(), onnx.weight_bytes());
    onnx.write(&file)?;
    Ok(())
}
