//! `launcher`: from a container image to a static folder that a page or a terminal runs
//! (`docs/converting.md`).

mod convert;
mod cpio;
mod ext4;
mod folder;
mod guests;
mod inspect;
mod layer;
mod machine;
mod oci;
mod page;
mod progress;
mod run;
mod serve;
mod spool;
mod tree;

use std::process::ExitCode;

use clap::Parser;

/// Runs container images in an emulator, in a page or in the terminal.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Makes a static folder of an image
    Convert(Box<convert::Options>),
    /// Serves a folder to browsers of this machine
    Serve(serve::Options),
    /// Runs a folder in the terminal; the exit code is the guest's
    Run(run::Options),
    /// Shows what is in a folder
    Inspect(inspect::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Convert(options) => {
            let handled = ctrlc::set_handler(|| convert::give_up());
            handled
                .map_err(|error| error.to_string())
                .and_then(|()| convert::convert(options))
        }
        Command::Serve(options) => serve::serve(options),
        Command::Inspect(options) => inspect::inspect(options),
        Command::Run(options) => match run::run(options) {
            Ok(code) => return ExitCode::from(code),
            Err(reason) => Err(reason),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Libraries have sentences of several lines.
            let words: Vec<&str> = reason.split_whitespace().collect();
            eprintln!("launcher: {}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}
