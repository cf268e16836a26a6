package live

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rouse-im/rouse/internal/fleet"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// watchEvery is the pause between two looks at the metrics of a node.
const watchEvery = time.Second

// watcher looks at the servers' metrics during a run.
type watcher struct {
	s    *stage
	rec  *recorder
	stop context.CancelFunc
	work sync.WaitGroup

	mu    sync.Mutex
	cpu   map[string]float64 // seconds of former processes, by node
	last  map[string]float64 // and of the present one
	most  map[string]float64 // bytes of memory at most, by node
	disk  map[string]float64
	lost  map[string]lostLeaderships
	moved int // times that leaderships were lost
	since time.Time
}

func watch(ctx context.Context, s *stage, rec *recorder) *watcher {
	ctx, stop := context.WithCancel(ctx)
	w := &watcher{s: s, rec: rec, stop: stop, cpu: map[string]float64{}, last: map[string]float64{}, most: map[string]float64{}, disk: map[string]float64{}, lost: map[string]lostLeaderships{}, since: time.Now()}
	for _, n := range s.fleet.Nodes() {
		w.work.Go(func() {
			tick := time.NewTicker(watchEvery)
			defer tick.Stop()
			for {
				w.look(ctx, n)
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return w
}

func (w *watcher) end() {
	w.stop()
	w.work.Wait()
	for _, n := range w.s.fleet.Nodes() {
		w.look(context.Background(), n)
	}
}

// lostLeaderships of a process, when it was looked at last.
type lostLeaderships struct {
	count float64
	at    simulations.Offset
}

// leaderships notes that a node lost some since the last look. Needs mu.
func (w *watcher) leaderships(node string, count float64, at simulations.Offset) {
	before := w.lost[node]
	if count > before.count {
		w.moved++
		w.rec.add(checker.Entry{Moved: &checker.Moved{Node: node, From: before.at, To: at}})
	}
	w.lost[node] = lostLeaderships{count, at} // less = another process
}

// look at one node; a node that does not answer is not looked at.
func (w *watcher) look(ctx context.Context, n *fleet.Node) {
	m := scrape(ctx, n)
	if m == nil {
		return
	}
	at := w.rec.now()
	gauge := func(name string, value, bound float64, backlog bool) {
		w.rec.add(checker.Entry{Gauge: &checker.Gauge{At: at, Node: n.Name, Name: name, Value: value, Bound: bound, Backlog: backlog}})
	}
	gauge("queued", sum(m["rouse_lane_queued"]), 0, true)
	for labels, used := range m["rouse_lane_quota_used"] {
		if limit := m["rouse_lane_quota_limit"][labels]; limit > 0 {
			gauge("quota:"+label(labels, "notifier"), 100*used/limit, 100, false)
		}
	}
	memory := sum(m["process_resident_memory_bytes"])
	gauge("memory", memory, 0, false)
	w.mu.Lock()
	defer w.mu.Unlock()
	seconds := sum(m["process_cpu_seconds_total"])
	if seconds < w.last[n.Name] {
		w.cpu[n.Name] += w.last[n.Name]
	}
	w.last[n.Name] = seconds
	w.most[n.Name] = max(w.most[n.Name], memory)
	w.disk[n.Name] = sum(m["rouse_storage_disk_bytes"])
	w.leaderships(n.Name, sum(m["rouse_replica_lost_leaderships_total"]), at)
}

func sum(all map[string]float64) (v float64) {
	for _, x := range all {
		v += x
	}
	return v
}

// backlog counts pushes that wait or are under way, on all nodes.
func (s *stage) backlog(ctx context.Context) (n float64) {
	for _, node := range s.fleet.Nodes() {
		m := scrape(ctx, node)
		n += sum(m["rouse_lane_queued"]) + sum(m["rouse_lane_in_flight"])
	}
	return n
}

// scrape the metrics of a node, by name and labels; nil if it does not answer.
func scrape(ctx context.Context, n *fleet.Node) map[string]map[string]float64 {
	ctx, cancel := context.WithTimeout(ctx, 2*watchEvery)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP()+"/metrics", nil)
	if err != nil {
		return nil
	}
	response, err := n.Client().Do(r)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	return parseMetrics(response.Body)
}

// parseMetrics reads the text format of Prometheus as far as it is used here.
func parseMetrics(from io.Reader) map[string]map[string]float64 {
	all := map[string]map[string]float64{}
	for s := bufio.NewScanner(from); s.Scan(); {
		line := s.Text()
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			continue
		}
		name, labels, _ := strings.Cut(line[:end], "{")
		if all[name] == nil {
			all[name] = map[string]float64{}
		}
		all[name][strings.TrimSuffix(labels, "}")] = value
	}
	return all
}

// label of a row, by its name; all labels if there is none.
func label(labels, name string) string {
	_, rest, ok := strings.Cut(labels, name+`="`)
	if !ok {
		return labels
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
