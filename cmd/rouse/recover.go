package main

import (
	"errors"
	"fmt"

	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/internal/backup"
	"github.com/rouse-im/rouse/storage"
)

type recoverVerb struct {
	Data        string `required:"" help:"Data directory of the node that is left; the node must be stopped." placeholder:"DIR"`
	YesLoseData bool   `name:"yes-lose-data" help:"Do it. Without this, it is only told what would be lost."`
}

// Help teaches by example.
func (*recoverVerb) Help() string {
	return `For the day on which most nodes are gone for good and one is left: it becomes a cluster of its own, with what it has. What the others had acknowledged and not yet sent it is lost, and the others must never be started on their old data again. Make a copy of the directory before (rouse backup --checkpoint), recover the node that has most, and prefer bringing back one of the lost nodes if that can be done at all.

Examples:

    rouse recover --data rouse-data
    rouse recover --data rouse-data --yes-lose-data`
}

// Run tells, or recovers.
func (v *recoverVerb) Run(c *call) error {
	s, err := openStopped(v.Data)
	if err != nil {
		return err
	}
	err = v.run(c, s)
	return errors.Join(err, s.Close())
}

func (v *recoverVerb) run(c *call, s *storage.Store) error {
	losses, err := backup.Survey(s)
	if err != nil {
		return err
	}
	if err := tellLosses(c, losses, replica.NodeID(s.NodeID())); err != nil {
		return err
	}
	if !v.YesLoseData {
		return errors.New("nothing was changed; if this is what you want, add --yes-lose-data")
	}
	if err := backup.Recover(s); err != nil {
		return err
	}
	return c.say("%s goes on alone. Start roused on it: it founds a new cluster, and the missing groups begin empty.", v.Data)
}

func tellLosses(c *call, l backup.Losses, self uint64) error {
	var rows [][]string
	for _, g := range l.Held {
		what := "what others had above the last entry"
		switch {
		case len(g.Voters) == 1 && g.Voters[0] == self:
			what = "nothing: it was the only voter"
		case g.Lacks > 0:
			what = fmt.Sprintf("at least what was up to entry %d: this node has lost it", g.Lacks)
		case g.Learner:
			what = "more: it only followed"
		}
		rows = append(rows, []string{fmt.Sprint(g.Group), fmt.Sprint(len(g.Voters)), fmt.Sprint(g.Applied), fmt.Sprint(g.Last), what})
	}
	for _, g := range l.Missing {
		rows = append(rows, []string{fmt.Sprint(g), "", "", "", "EVERYTHING: this node has no replica of it"})
	}
	return c.table([]string{"GROUP", "VOTERS", "APPLIED", "LAST ENTRY", "MAY BE LOST"}, rows)
}
