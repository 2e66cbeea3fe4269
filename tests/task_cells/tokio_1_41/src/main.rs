//! `tokio_1_41 NAME MANY INTERVAL DIR`

#[path = "../../on_tokio.rs"]
mod on_tokio;
#[path = "../../told.rs"]
mod told;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    told::run(&[on_tokio::PROGRAMS], &arguments);
}
