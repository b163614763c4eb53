//! Which device computes, and in what numbers.

use shipworthy_native::{Compute, Nf4Options};
use shipworthy_schema::finetune::{DeviceChoice, Dtype};

/// Returns the device that a configuration asks for.
///
/// Errors with what to write instead where there is no such device, or it does not compute so.
pub(crate) fn choose(
    device: DeviceChoice,
    dtype: Dtype,
    quantisation: Option<Nf4Options>,
) -> Result<Compute, String> {
    let wants_card = match device {
        DeviceChoice::Auto => Compute::has_cuda(),
        DeviceChoice::Cuda => true,
        DeviceChoice::Cpu => false,
    };
    if !wants_card {
        return match dtype {
            Dtype::Auto | Dtype::Float32 => Ok(Compute::host(quantisation)),
            Dtype::Bfloat16 => Err(
                "the processor computes in float32; leave `dtype` out, or train on a card"
                    .to_owned(),
            ),
        };
    }
    Compute::cuda(quantisation, dtype == Dtype::Float32).map_err(|error| {
        if cfg!(feature = "cuda") {
            format!("no CUDA card can be used ({error}); write `device: cpu`")
        } else {
            "this build of shipworthy cannot use a CUDA card; build it with `--features cuda`, or \
             write `device: cpu`"
                .to_owned()
        }
    })
}
