package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// bins of time that charts have.
const bins = 144

// maxWrong are told.
const maxWrong = 100

// Summarize a run.
func Summarize(r Run) Summary {
	h := r.History
	s := Summary{
		Scenario: r.Scenario, About: r.About, Seed: r.Seed, Commit: r.Commit, Engine: r.Engine, Nodes: r.Nodes, Start: r.Start,
		LengthMS: r.Length.Milliseconds(), Speed: r.Speed, Replay: r.Replay, Checks: r.Results, Wrong: r.Wrong[:min(len(r.Wrong), maxWrong)], Held: len(r.Wrong) == 0,
	}
	broken := 0
	for _, c := range r.Results {
		if c.Breaches > 0 {
			broken++
		}
	}
	s.Held = s.Held && broken == 0
	t := &tally{r: r, h: h, decided: map[string]simulations.Offset{}}
	for _, o := range h.Outcomes {
		if o.PushID != "" && !o.Delayed {
			t.decided[o.PushID] = o.Decided
		}
	}
	s.Figures = t.figures(broken)
	if r.Events != nil { // a preview: nothing else happened, and zeros would say that it was looked at
		s.Figures = s.Figures[:4]
		s.Charts = []Chart{t.presence(), t.activity()}
		return s
	}
	s.Charts = []Chart{t.presence(), t.activity(), t.pushes(), t.suppressed(), t.badges(), t.queueAge(), t.latency(), t.quota(), t.gaps()}
	return s
}

type tally struct {
	r       Run
	h       *checker.History
	decided map[string]simulations.Offset // by push id
}

func (t *tally) bin(at simulations.Offset) int {
	return min(bins-1, max(0, int(int64(t.r.life(at))*bins/max(1, t.r.Length.Milliseconds()))))
}

// minute in the middle of a bin.
func (t *tally) minute(bin int) float64 {
	return t.r.Length.Minutes() * (float64(bin) + 0.5) / bins
}

func (t *tally) figures(broken int) []Figure {
	events, messages, recipients, last := 0, 0, 0, ""
	for e := range t.r.events() {
		events++
		if e.Kind != simulations.Message {
			continue
		}
		if recipients += len(e.To); e.Message != last { // its parts follow each other
			messages++
		}
		last = e.Message
	}
	statuses := map[string]int{}
	for _, o := range t.h.Outcomes {
		statuses[o.Status]++
	}
	all := slices.Concat(t.latencies()...)
	slices.Sort(all)
	worst := 0.0
	for _, p := range t.gaps().Lines[0].Points {
		worst = max(worst, p[1])
	}
	n := func(id string, en, zh string, v int) Figure {
		return Figure{ID: id, Name: Text{en, zh}, Value: float64(v)}
	}
	figures := []Figure{
		n("events", "events", "事件", events),
		n("messages", "messages", "消息", messages),
		n("recipients", "recipients", "接收人次", recipients),
		n("faults", "faults", "故障", len(t.h.Faults)),
		n("accepted", "pushes accepted", "厂商接受的推送", statuses["accepted"]),
		n("suppressed", "not woken, with a reason", "不唤醒（有原因）", statuses["suppressed"]),
		n("other", "expired, cancelled, failed", "过期、取消、失败", statuses["expired"]+statuses["cancelled"]+statuses["failed"]+statuses["superseded"]),
		{ID: "p50", Name: Text{"decision to vendor, p50", "决策到厂商 p50"}, Value: quantile(all, 0.5), Unit: "ms"},
		{ID: "p99", Name: Text{"decision to vendor, p99", "决策到厂商 p99"}, Value: quantile(all, 0.99), Unit: "ms"},
		{ID: "gap", Name: Text{"longest wait after a fault", "故障后最长等待"}, Value: worst, Unit: "ms"},
		n("wrong", "wrong decisions and badges", "错误的决策与角标", len(t.r.Wrong)),
		n("broken", "invariants broken", "被破坏的不变式", broken),
	}
	for i := range figures {
		figures[i].Bad = figures[i].Value > 0 && (figures[i].ID == "wrong" || figures[i].ID == "broken")
	}
	return figures
}

// presence counts devices by the last state in each bin.
func (t *tally) presence() Chart {
	state := map[[2]string]simulations.State{}
	counts := map[simulations.State]int{}
	var points [2][][2]float64
	next := 0
	until := func(bin int) {
		for ; next < bin; next++ {
			points[0] = append(points[0], [2]float64{t.minute(next), float64(counts[simulations.Connected])})
			points[1] = append(points[1], [2]float64{t.minute(next), float64(counts[simulations.Background])})
		}
	}
	nodes := map[[2]string]string{}
	for e := range t.r.events() {
		until(t.bin(e.At))
		key := [2]string{e.User, e.Device}
		switch e.Kind {
		case simulations.Presence:
			counts[state[key]]--
			state[key], nodes[key] = e.State, e.Node
			counts[e.State]++
		case simulations.IMDown:
			for k, n := range nodes {
				if n == e.Node && (state[k] == simulations.Connected || state[k] == simulations.Background) {
					counts[state[k]]--
					state[k] = simulations.Disconnected
				}
			}
		}
	}
	until(bins)
	return Chart{
		ID: "presence", Title: Text{"Devices connected", "在线设备"}, Unit: "devices",
		About: Text{"Follows the day; a notch where an IM node died, a peak where its devices came back.", "随作息起伏；IM 节点崩溃处有缺口，设备重连处有尖峰。"},
		Lines: []Line{{Text{"in front", "前台"}, points[0]}, {Text{"in the background", "后台"}, points[1]}},
	}
}

// activity counts events by kind.
func (t *tally) activity() Chart {
	counts := map[string]*[bins]float64{}
	for e := range t.r.events() {
		if counts[string(e.Kind)] == nil {
			counts[string(e.Kind)] = &[bins]float64{}
		}
		counts[string(e.Kind)][t.bin(e.At)]++
	}
	return Chart{
		ID: "activity", Title: Text{"What happens", "发生的事件"}, Unit: "events", Lines: t.perBin(counts, func(kind string) Text { return Text{kind, cmp.Or(kinds[kind], kind)} }),
		About: Text{"Events of each kind, counted in 144 parts of the time.", "每个时间格内各类事件的数量。"},
	}
}

// perBin counts by name and bin, the most frequent names first.
func (t *tally) perBin(counts map[string]*[bins]float64, label func(string) Text) []Line {
	sum := func(name string) (n float64) {
		for _, v := range counts[name] {
			n += v
		}
		return n
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(sum(b), sum(a)), strings.Compare(a, b)) })
	var lines []Line
	for _, name := range names {
		l := Line{Name: label(name)}
		for i, v := range counts[name] {
			l.Points = append(l.Points, [2]float64{t.minute(i), v})
		}
		lines = append(lines, l)
	}
	return fold(lines)
}

// fold what is rarer than the first lines into one.
func fold(lines []Line) []Line {
	if len(lines) <= maxLines {
		return lines
	}
	others := Line{Name: Text{"others", "其他"}, Points: slices.Clone(lines[maxLines-1].Points)}
	for _, l := range lines[maxLines:] {
		for i, p := range l.Points {
			others.Points[i][1] += p[1]
		}
	}
	return append(slices.Clip(lines[:maxLines-1]), others)
}

func plain(name string) Text { return Text{name, name} }

func (t *tally) pushes() Chart {
	counts := map[string]*[bins]float64{}
	for _, p := range t.h.Pushes {
		if p.Answer != "accepted" {
			continue
		}
		if counts[p.Vendor] == nil {
			counts[p.Vendor] = &[bins]float64{}
		}
		counts[p.Vendor][t.bin(p.At)]++
	}
	return Chart{
		ID: "pushes", Title: Text{"Pushes that vendors took", "各厂商接受的推送"}, Unit: "pushes",
		About: Text{"One line for each vendor; a gap during its fault, and a peak behind it.", "每个厂商一条线；故障时中断，恢复后出现峰值。"},
		Lines: t.perBin(counts, plain),
	}
}

func (t *tally) suppressed() Chart {
	counts := map[string]float64{}
	for _, o := range t.h.Outcomes {
		if o.Status == "suppressed" {
			counts[o.Reason]++
		}
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b)) })
	c := Chart{
		ID: "suppressed", Title: Text{"Why devices were not woken", "不唤醒的原因"}, Unit: "outcomes", Bars: true,
		About: Text{"Each message and device that was not pushed has one reason.", "每个未推送的（消息，设备）都有唯一的原因。"},
	}
	for _, name := range names[:min(len(names), maxLines)] {
		c.Lines = append(c.Lines, Line{plain(name), [][2]float64{{0, counts[name]}}})
	}
	return c
}

func (t *tally) badges() Chart {
	var counts [bins]float64
	for _, w := range t.r.Wrong {
		counts[t.bin(simulations.At(w.At))]++
	}
	return Chart{
		ID: "badges", Title: Text{"Wrong decisions and badges", "错误的决策与角标"}, Unit: "errors",
		About: Text{"Must be flat at zero: it compares with a second implementation of the rules.", "必须恒为零：与规则的第二份实现逐一比较。"},
		Lines: t.perBin(map[string]*[bins]float64{"": &counts}, func(string) Text { return Text{"errors", "错误"} }),
	}
}

// gauges by label: the greatest value of each bin.
func (t *tally) gauges(prefix string) []Line {
	most := map[string]map[int]float64{}
	for _, g := range t.h.Gauges {
		name, ok := strings.CutPrefix(g.Name, prefix)
		if !ok {
			continue
		}
		label := strings.TrimPrefix(name, ":")
		if label == "" {
			label = g.Node
		}
		if most[label] == nil {
			most[label] = map[int]float64{}
		}
		most[label][t.bin(g.At)] = max(most[label][t.bin(g.At)], g.Value)
	}
	var lines []Line
	for _, label := range slices.Sorted(maps.Keys(most)) {
		l := Line{Name: plain(label)}
		for _, b := range slices.Sorted(maps.Keys(most[label])) {
			l.Points = append(l.Points, [2]float64{t.minute(b), most[label][b]})
		}
		lines = append(lines, l)
	}
	return lines[:min(len(lines), maxLines)]
}

func (t *tally) queueAge() Chart {
	return Chart{
		ID: "queue-age", Title: Text{"Age of the oldest push that waits", "最早排队推送的等待时间"}, Unit: "s", Lines: t.ages(),
		About: Text{"Grows while a vendor fails, and falls to zero after it.", "厂商故障时增长，恢复后归零。"},
	}
}

// ages are the gauges if there are any, else they are counted from outcomes: the
// greatest age in a bin of a push that was to go at once.
func (t *tally) ages() []Line {
	if l := t.gauges("queue-age"); len(l) > 0 {
		return l
	}
	var most [bins]float64
	found := false
	for _, o := range t.h.Outcomes {
		if o.PushID == "" || o.Delayed || o.Ended == 0 {
			continue
		}
		found = true
		for b := t.bin(o.Decided); b <= t.bin(o.Ended); b++ {
			at := min(float64(o.Ended), t.engine(b))
			most[b] = max(most[b], (at-float64(o.Decided))/1000)
		}
	}
	if !found {
		return nil
	}
	l := Line{Name: Text{"all vendors", "所有厂商"}}
	for b, age := range most {
		l.Points = append(l.Points, [2]float64{t.minute(b), age})
	}
	return []Line{l}
}

// engine is the engine's time at the end of a bin, in ms.
func (t *tally) engine(bin int) float64 {
	return t.r.Length.Minutes() * float64(bin+1) / bins * 60_000 / cmp.Or(t.r.Speed, 1)
}

func (t *tally) quota() Chart {
	return Chart{
		ID: "quota", Title: Text{"Use of daily quotas", "日配额使用率"}, Unit: "%", Lines: t.gauges("quota"),
		About: Text{"Never above 100, after a fail-over neither; each crash of a node may cost a hundredth.", "任何时候不超过 100，主节点切换后也是；节点每次崩溃最多多计百分之一。"},
	}
}

// latencies from decision to the first attempt, by bin, in ms, of pushes that
// were to go at once.
func (t *tally) latencies() [][]float64 {
	all := make([][]float64, bins)
	seen := map[string]bool{}
	for _, p := range t.h.Pushes {
		if d, ok := t.decided[p.PushID]; ok && !seen[p.PushID] {
			seen[p.PushID] = true
			all[t.bin(p.At)] = append(all[t.bin(p.At)], max(1, float64(p.At-d)))
		}
	}
	return all
}

func (t *tally) latency() Chart {
	p50, p99 := Line{Name: Text{"p50", "p50"}}, Line{Name: Text{"p99", "p99"}}
	for i, l := range t.latencies() {
		if len(l) > 0 {
			slices.Sort(l)
			p50.Points = append(p50.Points, [2]float64{t.minute(i), quantile(l, 0.5)})
			p99.Points = append(p99.Points, [2]float64{t.minute(i), quantile(l, 0.99)})
		}
	}
	return Chart{
		ID: "latency", Title: Text{"From decision to vendor", "从决策到厂商的延迟"}, Unit: "ms", Log: true, Lines: []Line{p50, p99},
		About: Text{"Half, and all but one in a hundred, of the pushes are quicker.", "一半、以及百分之九十九的推送快于此值。"},
	}
}

func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// afterFault is how long the answers behind a fault are looked at.
const afterFault = 30 * time.Second

// gaps are the longest answers to events that were sent around each fault of nodes.
func (t *tally) gaps() Chart {
	l := Line{Name: Text{"longest answer", "最长应答"}}
	acks := slices.SortedStableFunc(slices.Values(t.h.Acks), func(a, b checker.Ack) int { return cmp.Compare(a.Sent, b.Sent) })
	for _, f := range t.h.Faults {
		if len(f.Nodes) == 0 {
			continue
		}
		longest := simulations.Offset(0)
		first, _ := slices.BinarySearchFunc(acks, f.At-1000, func(a checker.Ack, at simulations.Offset) int { return cmp.Compare(a.Sent, at) })
		for _, a := range acks[first:] {
			if a.Sent > f.At+f.For+simulations.At(afterFault) {
				break
			}
			longest = max(longest, a.Answered-a.Sent)
		}
		l.Points = append(l.Points, [2]float64{t.r.life(f.At).Duration().Minutes(), float64(longest)})
	}
	return Chart{
		ID: "gaps", Title: Text{"Longest wait around each fault of a node", "节点故障前后的最长等待"}, Unit: "ms", Dots: true, Lines: []Line{l},
		About: Text{"One dot for each fault: how long somebody waited for an answer then.", "每个故障一个点：其间最久的一次应答。"},
	}
}
