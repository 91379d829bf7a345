//! An event that a member of a group is shown is there for the call only.

fn main() {
    let bus = ringbus::Bus::new();
    let mut member = bus.topic::<String>().group("workers").join().unwrap();
    let mut kept: Vec<&String> = Vec::new();
    let _ = member.poll(8, |event, _| kept.push(event));
    println!("{kept:?}");
}
