//! A task queue: lines of captures, each compressed by one of the members of a group.
//!
//! ```console
//! cargo run --release --example workers [-- [--lines N] FILE...]
//! ```
//!
//! The same lines go through one worker, through two, and through two of which one dies in the middle. Each run
//! must handle every line exactly once and come to the same result. A file is gzip or plain; without files the
//! lines are made up.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use flate2::bufread::MultiGzDecoder;
use flate2::{Compress, Compression, Crc, FlushCompress};
use ringbus::{Bus, GroupMember, GroupSnapshot, Redeliver};

/// One task.
struct Line {
    number: usize,
    text: Box<[u8]>,
}

/// What the workers have done, noted line by line: what a worker has noted survives its death.
struct Ledger {
    /// How often each line was handled.
    handled: Vec<AtomicU8>,
    /// A sum that does not depend on the order of the lines.
    checksum: AtomicU64,
    compressed: AtomicU64,
}

/// One run.
struct Run {
    name: &'static str,
    took: Duration,
    ledger: Arc<Ledger>,
    /// The group's numbers at the end.
    group: GroupSnapshot,
    /// Lines that each worker handled; a dead one tells no more.
    each: Vec<Option<usize>>,
}

/// Compresses lines one by one.
struct Compressor {
    deflate: Compress,
    buffer: Vec<u8>,
}

impl Compressor {
    fn new() -> Self {
        Self {
            deflate: Compress::new(Compression::new(6), false),
            buffer: Vec::new(),
        }
    }

    /// The line's compressed form: its checksum and its length.
    fn compress(&mut self, line: &[u8]) -> (u32, usize) {
        self.deflate.reset();
        self.buffer.clear();
        // What cannot be compressed grows by a few bytes for each block.
        self.buffer.reserve(line.len() + line.len() / 1000 + 64);
        let status = self
            .deflate
            .compress_vec(line, &mut self.buffer, FlushCompress::Finish)
            .expect("deflate takes any bytes");
        assert_eq!(status, flate2::Status::StreamEnd, "the buffer has room");
        let mut crc = Crc::new();
        crc.update(&self.buffer);
        (crc.sum(), self.buffer.len())
    }
}

impl Ledger {
    fn new(lines: usize) -> Self {
        Self {
            handled: (0..lines).map(|_| AtomicU8::new(0)).collect(),
            checksum: AtomicU64::new(0),
            compressed: AtomicU64::new(0),
        }
    }

    fn note(&self, number: usize, (crc, length): (u32, usize)) {
        self.handled[number].fetch_add(1, Relaxed);
        let mixed = ((u64::from(crc) << 32) | number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.checksum.fetch_add(mixed ^ (mixed >> 29), Relaxed);
        self.compressed.fetch_add(length as u64, Relaxed);
    }

    /// Lines that were handled other than once.
    fn wrong(&self) -> usize {
        let handled = self.handled.iter();
        handled.filter(|times| times.load(Relaxed) != 1).count()
    }
}

/// Works until the topic is closed and every line is handled; dies at the line `deadly`, unless another worker
/// has died of it.
fn work(mut member: GroupMember<Line>, ledger: &Ledger, deadly: Option<usize>) -> usize {
    let mut compressor = Compressor::new();
    let mut handled = 0;
    let mut handle = |line: &Line, redelivered: bool| {
        let compressed = compressor.compress(&line.text);
        assert!(
            deadly != Some(line.number) || redelivered,
            "a worker dies at line {}, as it was told to",
            line.number
        );
        ledger.note(line.number, compressed);
        handled += 1;
    };
    while member
        .poll_wait(64, |line, meta| handle(line, meta.redelivered))
        .is_ok()
    {}
    handled
}

fn run(name: &'static str, lines: &[Vec<u8>], workers: usize, deadly: Option<usize>) -> Run {
    let bus = Bus::new();
    let topic = bus.topic::<Line>();
    let ledger = Arc::new(Ledger::new(lines.len()));
    // It does not read: it keeps the group, and its numbers, until the end.
    let join = || topic.group("workers").redeliver(Redeliver::Once).join();
    let keeper = join().expect("the topic is open");
    let threads: Vec<_> = (0..workers)
        .map(|_| {
            let member = join().expect("the settings are the group's");
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || work(member, &ledger, deadly))
        })
        .collect();
    let publisher = topic.publisher().expect("the topic is open");
    let since = Instant::now();
    for (number, line) in lines.iter().enumerate() {
        let text = line.clone().into_boxed_slice();
        let published = publisher.publish(Line { number, text });
        published.expect("a worker is left");
    }
    // The last publisher: the topic closes, and the workers end when all is handled.
    drop(publisher);
    let each = threads
        .into_iter()
        .map(|thread| thread.join().ok())
        .collect();
    let took = since.elapsed();
    let group = topic.snapshot().groups.pop().expect("the keeper keeps it");
    drop(keeper);
    Run {
        name,
        took,
        ledger,
        group,
        each,
    }
}

impl Run {
    fn print(&self, bytes: usize) {
        let seconds = self.took.as_secs_f64();
        let lines = self.ledger.handled.len();
        let each: Vec<_> = self
            .each
            .iter()
            .map(|handled| handled.map_or_else(|| "died".to_owned(), |lines| lines.to_string()))
            .collect();
        println!(
            "{:<24} {:>9.0} {:>8.1} {:>9} {:>6} {:>6} {:>9}  {:016x}  {}",
            self.name,
            lines as f64 / seconds,
            bytes as f64 / seconds / 1e6,
            self.group.delivered,
            self.ledger.wrong(),
            self.group.redelivered,
            self.group.abandoned,
            self.ledger.checksum.load(Relaxed),
            each.join(" + "),
        );
    }

    /// Whether every line was handled once, by the workers' account and by the group's.
    fn is_exact(&self) -> bool {
        let lines = self.ledger.handled.len() as u64;
        let group = &self.group;
        self.ledger.wrong() == 0
            && (group.published, group.delivered) == (lines, lines)
            && (group.pending, group.missed, group.abandoned) == (0, 0, 0)
    }
}

/// Reads up to `most` lines of a capture.
fn read(path: &Path, most: usize, lines: &mut Vec<Vec<u8>>) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let packed = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let text: Box<dyn Read> = match packed {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    for line in BufReader::new(text).split(b'\n').take(most) {
        lines.push(line?);
    }
    Ok(())
}

/// Made-up lines that look like a feed's.
fn generate(count: usize) -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut random = |end: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    (0..count)
        .map(|number| {
            let levels: Vec<_> = (0..1 + random(12))
                .map(|_| format!(r#"["{}.{:02}","{}.{:03}"]"#, 60_000 + random(500), random(100), random(9), random(1000)))
                .collect();
            let line = format!(
                r#"{{"stream":"btcusdt@depth","data":{{"e":"depthUpdate","u":{number},"b":[{}],"a":[]}}}}"#,
                levels.join(",")
            );
            line.into_bytes()
        })
        .collect()
}

fn args() -> Result<(Vec<PathBuf>, usize), lexopt::Error> {
    use lexopt::{Arg, Parser, ValueExt};
    let (mut files, mut lines) = (Vec::new(), 50_000);
    let mut parser = Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("lines") => lines = parser.value()?.parse()?,
            Arg::Value(file) => files.push(file.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok((files, lines))
}

fn main() -> ExitCode {
    let (files, most) = match args() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}\nusage: workers [--lines N] [FILE...]");
            return ExitCode::from(2);
        }
    };
    let mut lines = Vec::new();
    for file in &files {
        if let Err(error) = read(file, most, &mut lines) {
            eprintln!("{}: {error}", file.display());
            return ExitCode::from(2);
        }
    }
    if files.is_empty() {
        lines = generate(most);
    }
    let bytes: usize = lines.iter().map(Vec::len).sum();
    println!("{} lines, {:.1} MB", lines.len(), bytes as f64 / 1e6);
    println!(
        "{:<24} {:>9} {:>8} {:>9} {:>6} {:>6} {:>9}  {:<16}  by each",
        "workers", "lines/s", "MB/s", "handled", "wrong", "again", "abandoned", "result"
    );
    let runs = [
        run("1", &lines, 1, None),
        run("2", &lines, 2, None),
        run("2, one dies half-way", &lines, 2, Some(lines.len() / 2)),
    ];
    for run in &runs {
        run.print(bytes);
    }
    let result = |run: &Run| {
        (
            run.ledger.checksum.load(Relaxed),
            run.ledger.compressed.load(Relaxed),
        )
    };
    let one_died = runs[2]
        .each
        .iter()
        .filter(|handled| handled.is_none())
        .count()
        == 1
        && runs[2].group.redelivered == 1;
    let exact = runs.iter().all(Run::is_exact);
    let same = runs.iter().all(|run| result(run) == result(&runs[0]));
    println!(
        "every line handled once: {exact}; one result: {same}; one worker died and its line went to the other: {one_died}"
    );
    if !lines.is_empty() && exact && same && one_died {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
