//! From configurations to a candidate that may ship: `shipworthy loop`.
//!
//! [`LoopInputs`] says what is to be made, [`Making`] makes one of them, step by step: [`Making::train`],
//! [`Making::convert`], [`Making::check`], [`Making::evaluate`]. [`run_loop`] does so for all of them, lets the best one
//! meet people nobody has met, and says what came of it. What the store has is not made again, so a
//! loop that was killed goes on where it was.

mod at_hub;
mod choice;
mod confirmation;
mod conversion;
mod differences;
mod error;
mod evaluation;
mod inputs;
mod making;
mod origin;
mod proposal;
mod recipe;
mod run;
mod soundness;
mod sources;
mod time;
mod training;

pub use at_hub::{HubAccess, secrets_at_hub};
pub use confirmation::Confirmation;
pub use error::{LoopError, Setback};
pub use inputs::LoopInputs;
pub use making::{LoopEvent, Making, Observer, Project};
pub use origin::{Origin, origin};
pub use recipe::Recipe;
pub use run::run_loop;
pub use training::Trained;
