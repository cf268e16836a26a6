package steward

import (
	"fmt"
	"slices"
	"strings"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	maxWarnings = 100
	maxListed   = 8 // names in one warning
)

// warnings are what an operator should look at, the worst first.
func (k *Known) warnings(groups []*rousev1.ClusterGroup) (all []*rousev1.ClusterWarning) {
	warn := func(kind rousev1.ClusterWarningKind, format string, args ...any) {
		if len(all) < maxWarnings {
			all = append(all, &rousev1.ClusterWarning{Kind: kind, Message: fmt.Sprintf(format, args...)})
		}
	}
	var leaderless, thin []string
	for _, g := range groups {
		switch {
		case g.GetLeaderId() == "":
			leaderless = append(leaderless, fmt.Sprint(g.GetGroup()))
		case k.underReplicated(g):
			thin = append(thin, fmt.Sprint(g.GetGroup()))
		}
	}
	if len(leaderless) > 0 {
		warn(rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_NO_LEADER,
			"groups %s: no answering node leads them, their users wait; start the nodes that hold them, or look why they do not answer", listed(leaderless))
	}
	if len(thin) > 0 {
		warn(rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_UNDER_REPLICATED,
			"groups %s: a voter is dead or far behind, another lost node may stop them; bring the node back, or wait until it is replaced", listed(thin))
	}
	k.warnOfNodes(warn)
	k.warnOfDifferences(warn)
	return all
}

type warner func(kind rousev1.ClusterWarningKind, format string, args ...any)

func (k *Known) warnOfNodes(warn warner) {
	staying := 0
	for _, m := range k.View.Members() {
		report := k.Reports[m.GetNode()]
		if n := report.GetLosses(); n > 0 {
			warn(rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_ENTRIES_LOST,
				"node %s: %d of its replicas lacked what they had acknowledged, %d are not made anew yet; its disk does not keep what was synced, or its directory is an older copy: unless you put it back yourself, replace the disk",
				m.GetName(), n, report.GetLacking())
		}
		if report.GetDiskLow() {
			warn(rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_DISK_LOW, "node %s: its disk is nearly full; nodes with room lead in its place, and where there are none calls that need room are refused; free space on it", m.GetName())
		}
		if m.GetLeaving() {
			continue
		}
		staying++
		switch seen := k.Seen[m.GetNode()]; {
		case !seen.Alive:
			warn(rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_NODE_AWAY,
				"node %s is dead; start it, or if it is gone for good: rouse cluster remove %s", m.GetName(), m.GetName())
		case seen.Deaf:
			warn(rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_NODE_AWAY,
				"node %s hears no leader of group 0, so others lead in its place; look into the network between it and the node that leads group 0", m.GetName())
		case report == nil:
			warn(rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_NODE_AWAY,
				"node %s is alive and does not answer; look into its log, and whether %s can be reached", m.GetName(), m.GetAddresses().GetActors())
		}
	}
	for _, s := range k.Strangers {
		warn(rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_UNADMITTED, "node %s is reachable and no member; its log says why it was not admitted", s.Name)
	}
	if staying == 2 {
		warn(rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_NO_FAULT_TOLERATED,
			"with two nodes the second holds copies, and nothing goes on without the first; a third node lets any one fail")
	}
}

func (k *Known) warnOfDifferences(warn warner) {
	for _, d := range []struct {
		kind rousev1.ClusterWarningKind
		of   func(*rousev1.NodeReport) string
		says string
	}{
		{rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_SEAL_DIFFERS, (*rousev1.NodeReport).GetSealFingerprint, "the newest sealing keys differ (%s); give all nodes the same file of sealing keys and restart them"},
		{rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_GOSSIP_KEYS_DIFFER, (*rousev1.NodeReport).GetGossipFingerprint, "the gossip keys in use differ (%s); finish their rotation"},
		{rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_VERSIONS_DIFFER, (*rousev1.NodeReport).GetVersion, "the versions differ (%s); finish the upgrade"},
	} {
		if text, differ := k.kinds(d.of); differ {
			warn(d.kind, d.says, text)
		}
	}
}

// kinds lists which nodes have which value, by their names.
func (k *Known) kinds(of func(*rousev1.NodeReport) string) (text string, differ bool) {
	by := make(map[string][]string)
	var values []string
	for _, m := range named(k.View.Members()) {
		r := k.Reports[m.GetNode()]
		if r == nil {
			continue
		}
		value := of(r)
		if by[value] == nil {
			values = append(values, value)
		}
		by[value] = append(by[value], m.GetName())
	}
	var parts []string
	for _, value := range values {
		if value == "" {
			parts = append(parts, "none: "+listed(by[value]))
			continue
		}
		parts = append(parts, value+": "+listed(by[value]))
	}
	return listed(parts), len(values) > 1
}

// named sorts members by name.
func named(members []*actorv1.Member) []*actorv1.Member {
	members = slices.Clone(members)
	slices.SortStableFunc(members, func(a, b *actorv1.Member) int { return strings.Compare(a.GetName(), b.GetName()) })
	return members
}

// listed names a few of many.
func listed(all []string) string {
	if len(all) <= maxListed {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:maxListed], ", "), len(all)-maxListed)
}
