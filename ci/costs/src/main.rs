//! Counts what ringbus's operations cost on one thread, and fails when one has become dearer:
//!
//! - instructions, by valgrind's callgrind: against `costs.txt`, with a margin of 5 %;
//! - instructions among them that lock the bus or fence, by objdump: none more than there;
//! - system calls of an exclusive publish beside a subscriber that nobody waits on, by valgrind: none.
//!
//! Instructions are a matter of the compiler too: the counts hold for the compiler that stands in `costs.txt`, and
//! with another one they are printed and not compared; nor are they where the system has no `membarrier`, as publishers
//! fence there. `--update` writes the file anew.
//!
//! Both tools are common packages (valgrind, binutils). Where one is missing nothing is counted, and that is said.

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Operations of a round, as in `benches/costs.rs`.
const OPERATIONS: f64 = 512.0;

/// Enough that what happens once a lap of the ring is in it evenly.
const ROUNDS: u32 = 40;

/// How much dearer an operation may become unnoticed.
const MARGIN: f64 = 1.05;

/// What stands for none: the figures have two places.
const LOCKED_MARGIN: f64 = 0.01;

/// The operation that makes no system calls.
const EXCLUSIVE: &str = "publish, exclusive, 64 bytes";
/// One that locks, or the check sees nothing.
const SHARED: &str = "publish, shared";

/// What an operation costs.
#[derive(Clone, Copy)]
struct Cost {
    instructions: f64,
    locked: f64,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<bool> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = home.join("../..");
    let update = match env::args().nth(1).as_deref() {
        None => false,
        Some("--update") => true,
        Some(other) => return Err(format!("unknown argument {other:?}; there is --update").into()),
    };
    for tool in ["valgrind", "objdump"] {
        if Command::new(tool).arg("--version").output().is_err() {
            println!("nothing is counted, as there is no {tool}");
            return Ok(true);
        }
    }
    let program = build(&project)?;
    let costs = costs(&program)?;
    if update {
        fs::write(home.join("costs.txt"), table(&compiler()?, &costs))?;
    }
    let known = fs::read_to_string(home.join("costs.txt"))?;
    let cheap = compare(&known, &costs)?;
    Ok(no_system_calls(&program)? && cheap)
}

/// The program that does the operations.
fn build(project: &Path) -> Outcome<PathBuf> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .current_dir(project)
        .args(["build", "--profile", "bench", "--bench", "costs"])
        .args(["--features", "services", "--message-format", "json"])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let output = text(output, "cargo build")?;
    output
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "costs")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| "cargo has built no program".into())
}

fn text(output: Output, what: &str) -> Outcome<String> {
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{what} failed: {error}").into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn compiler() -> Outcome<String> {
    let output = Command::new("rustc").arg("--version").output()?;
    Ok(text(output, "rustc")?.trim().to_owned())
}

/// The costs of each operation.
fn costs(program: &Path) -> Outcome<Vec<(String, Cost)>> {
    let locks = locks(program)?;
    let names = text(Command::new(program).output()?, "the program")?;
    let costs = names
        .lines()
        .map(|name| Ok((name.to_owned(), cost(program, name, &locks)?)))
        .collect::<Outcome<Vec<_>>>()?;
    let locked = |(name, cost): &(String, Cost)| name == SHARED && cost.locked >= 1.0;
    if !costs.iter().any(locked) {
        return Err("no locked instruction is seen where there is one".into());
    }
    Ok(costs)
}

/// The places of the program's instructions that lock the bus or fence.
fn locks(program: &Path) -> Outcome<HashSet<u64>> {
    let output = Command::new("objdump")
        .args(["--disassemble", "--no-show-raw-insn"])
        .arg(program)
        .output()?;
    let listing = text(output, "objdump")?;
    let lock = |line: &str| {
        let (address, instruction) = line.trim().split_once(":\t")?;
        let exchanges = instruction.starts_with("xchg") && instruction.contains('(');
        let fences = ["lock", "mfence", "lfence", "sfence"]
            .iter()
            .any(|name| instruction.starts_with(name));
        (exchanges || fences).then(|| u64::from_str_radix(address, 16).ok())?
    };
    Ok(listing.lines().filter_map(lock).collect())
}

fn cost(program: &Path, name: &str, locks: &HashSet<u64>) -> Outcome<Cost> {
    let counts = program.with_extension("callgrind");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=costs::measured*"])
        .args(["--dump-instr=yes", "--dump-line=no"])
        .args(["--compress-pos=no", "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(program)
        .args([name, &ROUNDS.to_string()])
        .output()?;
    text(output, "valgrind")?;
    let told = fs::read_to_string(&counts)?;
    fs::remove_file(&counts)?;
    let object = format!("ob={}", program.display());
    let (mut here, mut call) = (false, false);
    let (mut all, mut locked) = (0, 0);
    for line in told.lines() {
        if line.starts_with("ob=") {
            here = line == object;
        }
        // The line after a call has what the callee did, which is told there.
        let of_callee = std::mem::replace(&mut call, line.starts_with("calls="));
        let Some(line) = line.strip_prefix("0x").filter(|_| !of_callee) else {
            continue;
        };
        let (address, count) = line.split_once(' ').ok_or("a place without a count")?;
        let count: u64 = count.parse()?;
        all += count;
        if here && locks.contains(&u64::from_str_radix(address, 16)?) {
            locked += count;
        }
    }
    if all == 0 {
        return Err("valgrind has counted nothing: the name of the function is another".into());
    }
    let operations = OPERATIONS * f64::from(ROUNDS);
    Ok(Cost {
        instructions: all as f64 / operations,
        locked: locked as f64 / operations,
    })
}

fn table(compiler: &str, costs: &[(String, Cost)]) -> String {
    let mut table = format!("{compiler}\ninstructions, locked ones among them, of\n");
    for (name, cost) in costs {
        // A string takes what is written to it.
        let _ = writeln!(table, "{:.1} {:.2}  {name}", cost.instructions, cost.locked);
    }
    table
}

/// Prints the costs beside those they were; tells whether none has grown.
fn compare(known: &str, costs: &[(String, Cost)]) -> Outcome<bool> {
    let mut known = known.lines();
    let of = known.next().ok_or("costs.txt is empty")?;
    let compiler = compiler()?;
    let mut same = of == compiler;
    if !same {
        println!("not compared, as the counts are of {of} and this is {compiler}");
    }
    if !has_membarrier() {
        println!("not compared, as publishers fence where the system has no membarrier");
        same = false;
    }
    let known = known
        .skip(1)
        .map(|line| {
            let (counts, name) = line
                .trim()
                .split_once("  ")
                .ok_or("a line without a name")?;
            let (instructions, locked) = counts.split_once(' ').ok_or("a line of one count")?;
            let instructions = instructions.parse()?;
            let locked = locked.trim().parse()?;
            Ok((
                name.to_owned(),
                Cost {
                    instructions,
                    locked,
                },
            ))
        })
        .collect::<Outcome<Vec<_>>>()?;
    if !known
        .iter()
        .map(|(name, _)| name)
        .eq(costs.iter().map(|(name, _)| name))
    {
        return Err("costs.txt has other operations: run with --update".into());
    }
    let mut grown = false;
    println!("instructions   before  locked   before");
    for ((name, cost), (_, before)) in costs.iter().zip(known) {
        let more = cost.instructions > before.instructions * MARGIN
            || cost.locked > before.locked + LOCKED_MARGIN;
        grown |= more;
        let mark = if more { "  GROWN" } else { "" };
        println!(
            "{:12.1} {:8.1} {:7.2} {:8.2}  {name}{mark}",
            cost.instructions, before.instructions, cost.locked, before.locked
        );
    }
    Ok(!grown || !same)
}

/// Whether the system spares publishers their fences.
fn has_membarrier() -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{MembarrierCommand, membarrier};
        membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Whether publishing twice as much makes no system call more.
fn no_system_calls(program: &Path) -> Outcome<bool> {
    let calls = |rounds: u32| -> Outcome<usize> {
        let output = Command::new("valgrind")
            .args(["--tool=none", "--trace-syscalls=yes"])
            .arg(program)
            .args([EXCLUSIVE, &rounds.to_string()])
            .output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        text(output, "valgrind")?;
        let calls = told.lines().filter(|line| line.starts_with("SYSCALL["));
        Ok(calls.count())
    };
    let (once, twice) = (calls(ROUNDS)?, calls(2 * ROUNDS)?);
    if once == 0 {
        return Err("valgrind has told no system calls, not even those of the start".into());
    }
    println!("system calls of a program that publishes once and twice as much: {once}, {twice}");
    Ok(once == twice)
}
