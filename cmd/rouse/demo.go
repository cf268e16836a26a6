package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/rouse-im/rouse/internal/demo"
	"github.com/rouse-im/rouse/internal/reason"
	"github.com/rouse-im/rouse/internal/rpc"
)

type demoVerb struct {
	Lines   int  `help:"Play only the first lines of the day; 0: all." placeholder:"N"`
	Verbose bool `short:"v" help:"Show the log of the node."`
}

// Help says what is played.
func (*demoVerb) Help() string {
	return `A real node, fakes of all push vendors over TLS, two IM nodes, 400 users: logins, disconnects, kicks, new tokens, group messages, calls, recalls, reads, quiet times, advertising, an IM node that dies, vendors that fail and report. At the end every message is checked against what the vendors saw. It needs nothing, listens on loopback only and leaves no files.

Examples:

    rouse demo
    LANG=zh_CN.UTF-8 rouse demo`
}

// usersOfTheDay is said before the day is read.
const usersOfTheDay = 400

// Run plays the day; what the check finds is an error.
func (v *demoVerb) Run(c *call) error {
	w := c.speech.words
	if err := c.say("%s\n\n"+w[wordIntro]+"\n", w[wordTitle], usersOfTheDay); err != nil {
		return err
	}
	show := newProgress(c.errs, c.speech)
	o := demo.Options{Lines: v.Lines, Progress: show.step}
	if v.Verbose {
		o.Logger = slog.New(slog.NewTextHandler(c.errs, nil))
	}
	r, err := demo.Run(c.ctx, o)
	show.end()
	if err != nil {
		return fmt.Errorf("the demo could not be played: %w", err)
	}
	return c.report(r)
}

func (c *call) report(r *demo.Report) error {
	var rows [][]string
	row := func(key word, args ...any) {
		rows = append(rows, strings.Split(fmt.Sprintf(c.speech.words[key], args...), "\t"))
	}
	row(wordEvents, r.Events, r.Repeats)
	row(wordMessages, r.Messages, r.Deliveries, r.Devices, r.Users)
	row(wordPairs, r.Pairs)
	for _, s := range []struct {
		key    word
		counts []demo.Count
	}{
		{wordWoken, r.Woken},
		{wordSuppressed, r.Suppressed},
		{wordCancelled, r.Cancelled},
		{wordSuperseded, r.Superseded},
		{wordExpired, r.Expired},
		{wordFailed, r.Failed},
	} {
		sum, parts := 0, []string{}
		for _, n := range s.counts {
			sum += n.N
			parts = append(parts, fmt.Sprintf("%s %d", n.What, n.N))
		}
		rows = append(rows, []string{"  " + c.speech.words[s.key], strconv.Itoa(sum), strings.Join(parts, ", ")})
	}
	row(wordVendor, r.Taken, r.Distinct, r.Taken-r.Distinct, r.Doubled)
	row(wordReceipts, r.Reported, r.Clicked)
	row(wordTime, tenths(r.Settled), tenths(r.Replayed), perSecond(r.Events, r.Replayed), tenths(r.Settled-r.Replayed), tenths(r.Took))
	if err := c.columns(rows); err != nil {
		return err
	}
	return errors.Join(c.badges(r), c.silence(r.Why), c.findings(r))
}

// silence tells about a device that was not woken.
func (c *call) silence(w *demo.Why) error {
	if w == nil {
		return nil
	}
	o, key := w.Outcome, wordWhy
	args := []any{o.GetMessageId(), w.From}
	if w.Group != "" {
		key, args = wordWhyIn, append(args, w.Group)
	}
	args = append(args, o.GetUserId(), o.GetDeviceId())
	text := reason.In(c.speech.reasons, o.GetReason())
	return errors.Join(
		c.say("\n%s", fmt.Sprintf(c.speech.words[key], args...)),
		c.say("%s: %s %s", rpc.Word(o.GetReason()), text.What, text.Advice), c.steps(w.Steps))
}

// maxShown bounds the findings that are written out.
const maxShown = 20

// badges shows some.
func (c *call) badges(r *demo.Report) error {
	if len(r.Badges) == 0 {
		return nil
	}
	var rows [][]string
	for _, b := range r.Badges {
		text := fmt.Sprintf(c.speech.words[wordBadge], b.User, b.Device, b.Vendor, b.Pushes, b.Said, b.Icon)
		rows = append(rows, strings.Split("  "+text, "\t"))
	}
	return errors.Join(c.say("\n%s", c.speech.words[wordBadges]), c.columns(rows))
}

// findings shows the verdict.
func (c *call) findings(r *demo.Report) error {
	words := c.speech.words
	if len(r.Findings) == 0 {
		return c.say("\n%s", words[wordKept])
	}
	lines := []string{fmt.Sprintf("\n"+words[wordBroken], len(r.Findings))}
	for _, f := range r.Findings[:min(maxShown, len(r.Findings))] {
		lines = append(lines, fmt.Sprintf("  %s: %s", c.speech.breaches[f.Breach], f.Where))
	}
	if more := len(r.Findings) - maxShown; more > 0 {
		lines = append(lines, fmt.Sprintf("  "+words[wordMore], more))
	}
	if err := c.say("%s", strings.Join(lines, "\n")); err != nil {
		return err
	}
	return fmt.Errorf(words[wordBreach], len(r.Findings))
}

func tenths(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }

func perSecond(n int, took time.Duration) int {
	return int(float64(n) / max(took.Seconds(), 0.001))
}

// progress shows how far the demo is: a bar on a terminal, else a line now and then.
type progress struct {
	out    io.Writer
	speech language
	bar    *progressbar.ProgressBar // nil: no terminal
	stage  demo.Stage
	told   time.Time
}

// tellEvery is the pause between two lines about one stage.
const tellEvery = 5 * time.Second

func newProgress(out io.Writer, speech language) *progress {
	p := &progress{out: out, speech: speech}
	if isTerminal(out) {
		p.bar = progressbar.NewOptions(1, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	}
	return p
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *progress) step(s demo.Step) {
	name := p.speech.words[map[demo.Stage]word{
		demo.Starting: wordStarting, demo.Replaying: wordReplaying, demo.Settling: wordSettling, demo.Verifying: wordVerifying,
	}[s.Stage]]
	if p.bar != nil {
		if p.stage != s.Stage {
			p.bar.Reset()
			p.bar.ChangeMax(max(1, s.Total))
			p.bar.Describe(name)
		}
		_ = p.bar.Set(s.Done) // a bar that cannot be drawn is no loss
	} else if p.stage != s.Stage || time.Since(p.told) >= tellEvery {
		p.told = time.Now()
		if s.Total > 0 {
			name = fmt.Sprintf("%s: %d/%d", name, s.Done, s.Total)
		}
		fmt.Fprintln(p.out, name)
	}
	p.stage = s.Stage
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
