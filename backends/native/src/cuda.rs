//! CUDA cards: whether there is one that can be used.
//!
//! candle panics where the driver or one of CUDA's libraries is missing; here that is an error which says
//! what to do.

use std::panic::catch_unwind;
use std::path::Path;

use candle_core::Device;
use thiserror::Error;

/// Says why no CUDA card can be used.
#[derive(Debug, Error)]
pub enum CudaError {
    /// The program was built without.
    #[error("it was built without CUDA; `make cuda` builds it with")]
    NotBuilt,
    /// There is no NVIDIA driver.
    #[error(
        "there is no NVIDIA driver: none of `{}` is there; in a container, give it the card \
         (`--gpus all`)",
        DRIVER_FILES.join("`, `")
    )]
    NoDriver,
    /// A library of CUDA is missing, or of another version.
    #[error(
        "a library of CUDA cannot be loaded ({detail}); put the folders of libcublas.so, libcublasLt.so, \
         libcurand.so and libnvrtc.so on LD_LIBRARY_PATH"
    )]
    Library {
        /// What the loader says.
        detail: String,
    },
    /// The driver refuses.
    #[error("the driver gives no card: {0}")]
    Device(#[source] candle_core::Error),
}

/// Files that the driver makes, under Linux and under Windows' Linux.
const DRIVER_FILES: [&str; 3] = ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"];

/// Opens the first CUDA card.
pub(crate) fn open() -> Result<Device, CudaError> {
    if !candle_core::utils::cuda_is_available() {
        return Err(CudaError::NotBuilt);
    }
    if cfg!(target_os = "linux") && !DRIVER_FILES.iter().any(|file| Path::new(file).exists()) {
        return Err(CudaError::NoDriver);
    }
    match catch_unwind(|| Device::new_cuda(0)) {
        Ok(device) => device.map_err(CudaError::Device),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            Err(CudaError::Library {
                detail: text.unwrap_or_else(|| "it does not say why".to_owned()),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_card_is_told_so() {
        let is_built = cfg!(feature = "cuda");
        let has_driver = DRIVER_FILES.iter().any(|file| Path::new(file).exists());
        match open() {
            Err(CudaError::NotBuilt) => assert!(!is_built),
            Err(CudaError::NoDriver) => assert!(!has_driver),
            Err(_) | Ok(_) => assert!(has_driver && is_built),
        }
    }
}
