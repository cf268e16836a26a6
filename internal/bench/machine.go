package bench

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Machine is where and of what was measured.
type Machine struct {
	Date   time.Time `json:"date"`
	Commit string    `json:"commit"`
	Go     string    `json:"go"`
	OS     string    `json:"os"`
	Arch   string    `json:"arch"`
	Model  string    `json:"model"`
	CPUs   int       `json:"cpus"`
	Procs  int       `json:"gomaxprocs"`
}

func describe() Machine {
	return Machine{
		Date: time.Now(), Commit: commit(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Model: model(), CPUs: runtime.NumCPU(), Procs: runtime.GOMAXPROCS(0),
	}
}

// commit comes from the build, or from the work tree under `go run`.
func commit() string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(out))
}

func model() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown model"
}

// load tells what other programs did to the machine.
type load struct {
	at   time.Time
	busy time.Duration // of all CPUs since the start of the machine; 0 = unknown
	own  time.Duration
}

func startLoad() load { return load{at: time.Now(), busy: busy(), own: cpuOfAll()} }

// others is the share of the CPU time that was not ours; our children must have ended.
func (l load) others() float64 {
	now := busy()
	if now == 0 || l.busy == 0 {
		return -1
	}
	all := float64(time.Since(l.at)) * float64(runtime.NumCPU())
	return max(0, float64(now-l.busy-(cpuOfAll()-l.own))/all)
}

// busy reads Linux's sum of all CPUs, in units of 10 ms: user, nice, system,
// idle, iowait, irq, softirq, steal.
func busy() time.Duration {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}
