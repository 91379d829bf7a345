//! The machine: pinning, what it is, and how quiet it is.

use std::fmt;
use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

/// Pins this thread to the core of this index.
///
/// # Panics
///
/// Panics when there is no such core: two threads on one core measure its scheduler.
pub fn pin(index: usize) {
    let cores = cores();
    let core = cores.get(index).copied();
    let core = core.unwrap_or_else(|| panic!("two cores are needed, got {}", cores.len()));
    assert!(
        core_affinity::set_for_current(core),
        "pinning to core {} failed",
        core.id
    );
}

/// Returns the cores that the process may use.
fn cores() -> &'static [CoreId] {
    // Read once, before the first pinning: it is this thread's own affinity that is told.
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}

/// Returns the model of the processor.
pub fn cpu() -> String {
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned())
}

/// Returns the release of the kernel.
pub fn kernel() -> String {
    contents("/proc/sys/kernel/osrelease")
}

/// Describes the machine: what a reader needs to judge the figures, as far as the system tells.
pub fn describe() -> Vec<(&'static str, String)> {
    const CPU: &str = "/sys/devices/system/cpu";
    let flag = |name: &str| {
        let flags = field("/proc/cpuinfo", "flags").unwrap_or_default();
        let known = flags.split_whitespace().any(|flag| flag == name);
        if known { "yes" } else { "no" }.to_owned()
    };
    let kilobytes = field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    vec![
        ("processor", cpu()),
        ("kernel", kernel()),
        ("rustc", env!("RUSTC_VERSION").to_owned()),
        ("cores", cores().len().to_string()),
        (
            "threads of the core of CPU 0",
            contents(&format!("{CPU}/cpu0/topology/thread_siblings_list")),
        ),
        (
            "L1d of CPU 0",
            contents(&format!("{CPU}/cpu0/cache/index0/size")),
        ),
        (
            "L2 of CPU 0",
            contents(&format!("{CPU}/cpu0/cache/index2/size")),
        ),
        (
            "L3 of CPU 0",
            contents(&format!("{CPU}/cpu0/cache/index3/size")),
        ),
        (
            "L3 of CPU 0 shared with",
            contents(&format!("{CPU}/cpu0/cache/index3/shared_cpu_list")),
        ),
        ("memory", kilobytes),
        (
            "governor",
            contents(&format!("{CPU}/cpu0/cpufreq/scaling_governor")),
        ),
        (
            "transparent huge pages",
            contents("/sys/kernel/mm/transparent_hugepage/enabled"),
        ),
        ("virtual machine", flag("hypervisor")),
        ("constant counter", flag("constant_tsc")),
        ("counter runs in sleep", flag("nonstop_tsc")),
    ]
}

fn contents(path: &str) -> String {
    let text = fs::read_to_string(path);
    text.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Returns how often this thread has gone to sleep: switches that it asked for. Zero where the system does
/// not tell.
pub fn sleeps() -> u64 {
    let switches = field("/proc/thread-self/status", "voluntary_ctxt_switches");
    switches.map_or(0, |text| text.parse().unwrap_or(0))
}

fn field(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The clock ticks of all cores since the start of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ticks {
    /// Ticks another guest of the host had.
    pub steal: u64,
    /// All ticks.
    pub all: u64,
}

impl Ticks {
    /// Reads the ticks, all zero where the system does not tell.
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        // cpu user nice system idle iowait irq softirq steal guest guest_nice; the last two are
        // contained in the first two.
        let fields: Vec<u64> = first
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|word| word.parse().ok())
            .collect();
        Self {
            steal: fields.get(7).copied().unwrap_or(0),
            all: fields.iter().sum(),
        }
    }

    /// Returns the share of the ticks since `earlier` that was stolen.
    pub fn stolen_since(self, earlier: Self) -> f64 {
        (self.steal - earlier.steal) as f64 / (self.all - earlier.all).max(1) as f64
    }
}

/// The gaps a thread sees that does nothing but read the clock.
#[derive(Clone, Copy, Debug)]
pub struct Jitter {
    core: usize,
    /// Gaps above 1 us, 10 us, 100 us and 1 ms.
    above: [u32; 4],
    longest: Duration,
    lost: f64,
}

impl Jitter {
    /// Watches the clock on this core.
    pub fn measure(core: usize) -> Self {
        const WATCH: Duration = Duration::from_millis(100);
        const LIMITS: [Duration; 4] = [
            Duration::from_micros(1),
            Duration::from_micros(10),
            Duration::from_micros(100),
            Duration::from_millis(1),
        ];
        pin(core);
        let start = Instant::now();
        let (mut last, mut above) = (start, [0; 4]);
        let (mut longest, mut lost) = (Duration::ZERO, Duration::ZERO);
        while last - start < WATCH {
            let now = Instant::now();
            let gap = now - last;
            last = now;
            if gap > LIMITS[0] {
                for (count, _) in above.iter_mut().zip(LIMITS).filter(|(_, l)| gap > *l) {
                    *count += 1;
                }
                longest = longest.max(gap);
                lost += gap;
            }
        }
        Self {
            core,
            above,
            longest,
            lost: lost.as_secs_f64() / (last - start).as_secs_f64(),
        }
    }

    /// Returns the share of time spent in gaps.
    pub fn lost(&self) -> f64 {
        self.lost
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [us, us10, us100, ms] = self.above;
        write!(
            f,
            "core {}: {:.2} % lost, gaps > 1 us {us}, > 10 us {us10}, > 100 us {us100}, > 1 ms {ms}, longest {:?}",
            self.core,
            self.lost * 100.0,
            self.longest
        )
    }
}
