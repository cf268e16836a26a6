package archtest

import (
	"fmt"
	"strings"
)

// layer says which packages of ours a package may import; "p/..." means p and
// all below. Every package has one layer, the first that matches.
type layer struct {
	of  string
	may []string
	why string
}

// layers is sorted from the bottom up.
var layers = []layer{
	{"api/rouse/v1", nil, "the public contract depends on nothing of ours"},
	{"api/rouse/v1/rousev1connect", []string{"api/rouse/v1"}, "generated from the contract alone"},
	{"api/rouse/actor/v1", []string{"api/rouse/v1"}, "what nodes say to each other carries the contract's messages and nothing of ours"},
	{"vendors", nil, "the contract between lanes and vendors is plain data"},
	{"vendors/fake", nil, "a fake that shares no code with the clients catches the mistakes they share"},
	{"vendors/vendortest", []string{"vendors", "vendors/fake", "vendors/reply"}, "one suite for all vendors knows their contract and their fakes, and no client"},
	{"vendors/reply", nil, "keeping what was answered knows no vendor"},
	{"vendors/bearer", []string{"vendors/reply"}, "keeping an access token knows no vendor"},
	{"vendors/courier", []string{"vendors/reply"}, "posting a request knows no vendor"},
	{"vendors/callback", []string{"vendors"}, "what receipts share knows no vendor's client"},
	{"vendors/doubt", []string{"vendors"}, "doubt about a credential knows no vendor"},
	{"vendors/cut", nil, "cutting a text knows no vendor"},
	{"vendors/...", []string{"vendors", "vendors/bearer", "vendors/callback", "vendors/courier", "vendors/cut", "vendors/doubt", "vendors/reply"}, "a vendor client knows neither another vendor nor who calls it"},
	{"storage/seal", nil, "sealing is pure"},
	{"storage/stream", nil, "frames of keys and values know nothing of what they mean"},
	{"storage", []string{"api/rouse/v1", "storage/...", "internal/failpoint"}, "storage keeps records and decides nothing"},
	{"cluster/link", nil, "frames between nodes know nothing of what they carry"},
	{"cluster/certs", []string{"internal/reload"}, "certificates and keys of a cluster are files"},
	{"cluster/memnet", nil, "a network in memory carries bytes and messages, and knows no node"},
	{"cluster/transport", []string{"api/...", "cluster/certs"}, "the way of actor messages between nodes knows their types and no actor"},
	{"cluster/replica", []string{"storage/...", "internal/failpoint", "internal/plant"}, "replicated logs carry evaluated mutations and decide nothing; the way to other nodes is handed in"},
	{"cluster/roster", []string{"api/rouse/actor/v1", "storage"}, "which nodes are admitted is state of the meta group"},
	{"cluster/placement", []string{"api/rouse/actor/v1", "cluster/replica", "cluster/roster", "storage"}, "where replicas shall be follows from the members; carrying it out goes through the replicas"},
	{"cluster", []string{"api/...", "cluster/..."}, "membership and the way to members know no actor: kinds are handed in"},
	{"internal/catalog", []string{"api/rouse/v1", "storage/...", "vendors"}, "apps and credentials are read by actors and edges, and know neither"},
	{"internal/reason", []string{"api/rouse/v1"}, "words for the contract's reasons know nothing of who says them"},
	{"internal/webhook", []string{"api/rouse/v1", "storage", "internal/reason"}, "calls to apps read what users left in the store, and know no actor"},
	{"internal/content", []string{"api/rouse/v1"}, "what a notification says follows from the message and from who reads it"},
	{"internal/extension", []string{"api/rouse/v1"}, "reading an extension makes a message of the contract of it"},
	{"internal/reload", nil, "a value that follows its files knows nothing of what it is"},
	{"internal/failpoint", nil, "a place to crash at knows nothing of who passes it"},
	{"internal/stepped", nil, "a clock that was set knows nothing of what it is read for"},
	{"internal/plant", nil, "a fault made on purpose is a name; the sites know what it breaks"},
	{"actors", []string{"api/rouse/v1"}, "messages between actors are plain data"},
	{"internal/lease", []string{"api/rouse/v1", "actors", "storage/...", "internal/plant"}, "liveness of IM nodes is a fact that actors read, and knows no actor"},
	{"internal/quota", []string{"api/rouse/actor/v1", "storage", "internal/plant"}, "what is used of a quota is a number that lanes read and raise; it knows no lane and no vendor"},
	{"actors/mailbox", []string{"actors"}, "a mailbox knows no actor"},
	{"actors/lane", []string{"api/rouse/v1", "actors", "actors/mailbox", "storage/...", "vendors", "internal/catalog", "internal/failpoint", "internal/quota", "internal/plant"}, "a lane tells users and never knows them; it sees vendors through their contract"},
	{"actors/user/quiet", nil, "times of day know nothing of users"},
	{"actors/user", []string{"api/rouse/v1", "actors", "actors/mailbox", "actors/lane", "actors/user/quiet", "storage/...", "vendors", "internal/catalog", "internal/content", "internal/failpoint", "internal/lease", "internal/plant"}, "a user tells lanes; shards, gateways and vendor clients are handed in"},
	{"actors/route", []string{"api/...", "actors", "actors/mailbox", "internal/failpoint", "internal/plant"}, "a router brings envelopes to whichever node leads, and knows no shard and no user"},
	{"actors/shard", []string{"api/...", "actors/...", "storage/...", "vendors", "internal/catalog", "internal/failpoint", "internal/lease", "internal/plant"}, "the shard is the parent of users; gateways and vendors are handed in"},
	{"internal/receipt", []string{"api/rouse/v1", "actors", "actors/user", "storage/...", "vendors", "internal/catalog"}, "receipts turn a vendor's request into messages to users; how a vendor is read is handed in"},
	{"internal/meta", []string{"api/...", "actors", "actors/mailbox", "actors/route", "storage", "internal/catalog", "internal/failpoint", "internal/lease", "internal/quota", "cluster/placement", "cluster/roster"}, "what the meta group's leader does for all nodes, and how they ask it"},
	{"internal/steward", []string{"api/...", "actors", "cluster/placement", "cluster/roster", "storage"}, "what operators see and order of a cluster is put together from members, placements and reports that are handed in"},
	{"internal/backup", []string{"cluster/replica", "cluster/roster", "storage/..."}, "a backup is key ranges and what a replica knows of them"},
	{"internal/oracle", []string{"api/rouse/v1"}, "a second opinion on decisions shares nothing with the first but the contract"},
	{"internal/trace", []string{"actors/user", "storage"}, "searching what users wrote reads the store, and takes no turn of an actor"},
	{"internal/config", []string{"api/rouse/v1"}, "a config file is values; internal/app gives them to their owners"},
	{"internal/gateway", []string{"api/...", "actors", "internal/catalog", "internal/content", "internal/extension", "internal/lease", "internal/reason"}, "the gateway turns calls into actor messages and holds no state: no storage, no vendor client; words for people are said at the edge"},
	{"internal/app", []string{"api/...", "actors/...", "cluster/...", "storage/...", "vendors/...", "internal/..."}, "wiring may know everything but the programs"},
	{"client/direct", []string{"api/...", "actors", "actors/route", "cluster/certs", "cluster/transport"}, "a trusted IM node speaks to actors through the fenced transport alone"},
	{"client", []string{"api/..."}, "IM nodes link this: it carries the contract and nothing else of ours"},
	{"internal/bench", []string{"api/...", "actors/...", "client/...", "cluster/...", "storage/...", "vendors/...", "internal/..."}, "whole-engine workloads may know everything but the programs"},
	{"internal/fleet", nil, "starting and ending server processes knows nothing of what they do"},
	{"internal/rpc", []string{"api/..."}, "a caller of the public API knows nothing of the server"},
	{"internal/demo", []string{"api/...", "client", "internal/app", "internal/config", "internal/rpc", "vendors/fake"}, "the demo is a user: it starts a node and speaks its public API"},
	{"internal/demo/generate", []string{"internal/demo"}, "it writes the script that the demo plays"},
	{"simulations/...", []string{"api/...", "actors/...", "client/...", "cluster/...", "storage/...", "vendors/...", "internal/...", "simulations/..."}, "a simulation drives whole nodes"},
	{"internal/archtest", nil, "the rules read source text only"},
	{"internal/tools/...", nil, "tools are separate modules"},
	{"cmd/...", []string{"api/...", "actors/...", "client/...", "cluster/...", "simulations/...", "storage/...", "vendors/...", "internal/...", "cmd/..."}, "programs assemble"},
}

// importers says who alone may import a package of ours; tests are free where freeTests is set.
var importers = []struct {
	path      string // of the imported package
	by        []string
	freeTests bool
	why       string
}{
	{"internal/app", []string{"internal/app", "internal/bench", "internal/demo", "internal/fleet", "simulations/...", "cmd/..."}, false, "internal/app assembles a node; only programs, whole-engine tests and benchmarks start one"},
	{"internal/demo", []string{"cmd/rouse", "internal/bench", "internal/demo/...", "simulations/..."}, false, "the demo is one verb of the command line; benchmarks and simulations borrow its fakes of all vendors"},
	{"vendors/fake", []string{"vendors/...", "internal/bench", "internal/demo", "simulations/...", "cmd/rouse"}, true, "no server ever sends to a fake"},
	{"vendors/vendortest", []string{"vendors/..."}, false, "the conformance suite is for vendor packages"},
	{"cmd/...", []string{"cmd/..."}, false, "programs are leaves"},
	{"cluster/memnet", []string{"simulations/..."}, true, "no server runs on a network in memory"},
	{"simulations", []string{"cmd/rouse", "simulations/..."}, true, "simulations are one verb of the command line"},
	{"internal/oracle", []string{"simulations/..."}, true, "only tests ask for a second opinion"},
	{"internal/plant", []string{"actors/...", "cluster/...", "internal/lease", "internal/quota"}, false, "faults are planted where the engine decides"},
	{"internal/stepped", []string{"simulations/..."}, true, "servers tell the time as it is"},
	{"internal/archtest", nil, false, "the rules are a leaf"},
}

// outside says who alone may import a library; tests are free where freeTests is set.
var outside = []struct {
	prefix    string
	by        []string
	freeTests bool
	why       string
}{
	{"github.com/cockroachdb/pebble/v2/vfs", []string{"storage", "internal/app", "internal/bench", "simulations/..."}, true, "the file system is the one seam of the store; wiring hands it through"},
	{"github.com/cockroachdb/pebble", []string{"storage", "internal/bench"}, true, "only storage knows the store: key layout and durability have one owner (bench measures it raw)"},
	{"github.com/sideshow/apns2", []string{"vendors/apns", "internal/bench"}, false, "the defects of this library are worked around in one place (bench measures it bare)"},
	{"firebase.google.com/go", []string{"vendors/fcm", "internal/bench"}, false, "the defects of this library are worked around in one place (bench measures it bare)"},
	{"go.etcd.io/raft/v3", []string{"cluster/replica"}, false, "the pitfalls of this library are met in one place"},
	{"github.com/asynkron/protoactor-go/cluster", []string{"cluster"}, true, "actors get their way to a user passed in, so that they run in one process in tests"},
	{"github.com/asynkron/protoactor-go/remote", []string{"cluster", "cluster/transport"}, false, "it listens on real sockets; actors must run without"},
	{"github.com/asynkron/protoactor-go", []string{"actors/...", "client/direct", "cluster/...", "internal/app", "internal/bench", "internal/meta", "simulations/..."}, true, "only actors and their wiring know the actor library"},
	{"github.com/hashicorp/memberlist", []string{"cluster", "cluster/memnet"}, false, "membership has one owner"},
	{"google.golang.org/grpc", []string{"api/...", "client/...", "cluster/transport", "internal/gateway", "internal/app", "internal/bench", "cmd/..."}, true, "RPC is an edge; the core speaks plain messages"},
	{"connectrpc.com", []string{"api/...", "internal/gateway", "internal/rpc", "internal/demo", "internal/bench", "simulations/live", "cmd/..."}, true, "RPC is an edge; the core speaks plain messages"},
	{"github.com/alecthomas/kong", []string{"cmd/..."}, false, "flags belong to programs"},
	{"gonum.org/v1/plot", []string{"simulations/..."}, false, "plots belong to reports of simulations"},
	{"github.com/anishathalye/porcupine", []string{"simulations/..."}, true, "histories are checked by tests and simulations"},
	{"github.com/schollz/progressbar", []string{"cmd/...", "internal/bench"}, false, "progress is shown by programs"},
}

// ours cuts the module path off an import path of ours.
func ours(p string) (dir string, ok bool) { return strings.CutPrefix(p, module+"/") }

func under(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

// checkImports keeps dependencies in one direction.
func checkImports(t *tree) (faults []string) {
	unknown := map[string]bool{}
	for _, s := range t.files {
		row := findLayer(s.dir)
		if row == nil {
			if unknown[s.dir] {
				continue
			}
			unknown[s.dir] = true
			faults = append(faults, fmt.Sprintf("%s: package has no row in layers (internal/archtest/imports.go): say which packages of ours it may import, and why", s.dir))
			continue
		}
		for _, p := range s.imports() {
			if dir, ok := ours(p); ok {
				faults = append(faults, checkOwn(s, row, dir)...)
			} else if f := checkOutside(s, p); f != "" {
				faults = append(faults, f)
			}
		}
	}
	return faults
}

func findLayer(dir string) *layer {
	for i := range layers {
		if match(layers[i].of, dir) {
			return &layers[i]
		}
	}
	return nil
}

func checkOwn(s *source, row *layer, dir string) (faults []string) {
	for _, rule := range importers {
		if match(rule.path, dir) && !matchAny(rule.by, s.dir) && dir != s.dir && !(s.test && rule.freeTests) {
			faults = append(faults, fmt.Sprintf("%s: must not import %s: %s", s.path, dir, rule.why))
		}
	}
	if !s.test && dir != s.dir && !matchAny(row.may, dir) {
		faults = append(faults, fmt.Sprintf("%s: must not import %s: %s", s.path, dir, row.why))
	}
	return faults
}

// checkOutside answers by the longest, that is the first matching, prefix.
func checkOutside(s *source, p string) string {
	for _, rule := range outside {
		// A major version is part of the path: pebble/v2 is pebble.
		if !under(p, rule.prefix) {
			continue
		}
		if matchAny(rule.by, s.dir) || s.test && rule.freeTests || match("internal/tools/...", s.dir) {
			return ""
		}
		return fmt.Sprintf("%s: must not import %s: %s", s.path, p, rule.why)
	}
	return ""
}
