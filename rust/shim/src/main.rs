//! `orlop-shim`: the parent of one container.
//!
//! The kubelet starts it, it makes the container, keeps its log and exit code, and answers on a socket in the
//! container's folder. It outlives the kubelet: a container never notices that the kubelet went away or came back.
//!
//! One process without threads: libcontainer runs ordinary Rust in cloned children, which only a process of one thread
//! may do.

mod bundle;
mod cgroups;
mod connection;
mod credentials;
mod devices;
mod exec;
mod files;
mod filter;
mod launch;
mod log;
mod make;
mod namespaces;
mod output;
mod pause;
mod plain;
mod report;
mod supervise;
mod sys;
mod terminal;
mod trace;

use std::process::ExitCode;

const USAGE: &str = "usage: orlop-shim run DIR | pause DIR | sandbox DIR | devices | version";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["run", dir] => launch::run(dir),
        ["pause", dir] => pause::run(dir),
        ["sandbox", dir] => namespaces::sandbox(dir),
        ["devices"] => devices::check(),
        ["version"] => {
            println!("{}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
