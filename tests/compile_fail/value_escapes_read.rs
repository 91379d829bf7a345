//! The value of a state is there for the call only: the next one may take its place.

fn main() {
    let bus = ringbus::Bus::new();
    let state = bus.state("now".to_string()).unwrap();
    let mut reader = state.reader().unwrap();
    let kept: &String = reader.read(|value, _| value);
    println!("{kept}");
}
