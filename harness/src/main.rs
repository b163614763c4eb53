//! The `shipworthy` command.

mod cli;

/// A call to a model makes and drops a few hundred small things: the system's allocator takes a fifth of
/// all time for them, this one half of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
