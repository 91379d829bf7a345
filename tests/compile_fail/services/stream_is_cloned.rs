//! What is sent on a stream is moved out of it, once.

fn main() {
    let (_sender, stream) = ringbus::stream::<u8>(4);
    let _other = stream.clone();
}
