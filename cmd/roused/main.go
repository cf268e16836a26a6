// Command roused is the server: one node with its store. Without any
// configuration it listens on loopback and keeps its facts in ./rouse-data.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

type flags struct {
	Config      string           `help:"Configuration file (YAML). Without one the defaults hold." placeholder:"FILE"`
	Data        string           `help:"Directory of the store; data.dir of the configuration." placeholder:"DIR"`
	Port        int              `help:"First of five ports on the hosts of the configuration: HTTP, gRPC, and the cluster's peers, actors and gossip." placeholder:"7700"`
	Cluster     string           `help:"Directory with the cluster's certificates and keys; the first node makes it. cluster.dir of the configuration." placeholder:"DIR"`
	Join        []string         `help:"Gossip port of a member of the cluster to join, host:port; may be given several times. cluster.join of the configuration." placeholder:"HOST:PORT"`
	Name        string           `help:"Name of this node in the cluster. cluster.name of the configuration." placeholder:"NAME"`
	FoundAnew   bool             `help:"Found a new cluster though the directory of --cluster knows of another, which is given up with all it held. Without it a node with an empty data directory is refused there unless it joins."`
	PrintConfig bool             `help:"Print a configuration file with every key, its default and what it means."`
	NewSealKey  bool             `help:"Add a sealing key to the key file and seal with it from the next start on; older keys still open what they sealed."`
	Version     kong.VersionFlag `help:"Print the version."`
}

const description = `The server of Rouse, an offline-push engine for IM back ends.

Without a configuration it listens on 127.0.0.1 (HTTP 7700, gRPC 7701) and keeps its facts in ./rouse-data. A variable ROUSE_<SECTION>_<KEY>, like ROUSE_HTTP_LISTEN, beats the file. Flags beat both. SIGTERM and SIGINT end it in order; a second one ends it at once.

Three nodes on one machine that hold each other's facts:

  roused --data n1 --port 7700 --cluster secrets
  roused --data n2 --port 7710 --cluster secrets --join 127.0.0.1:7704
  roused --data n3 --port 7720 --cluster secrets --join 127.0.0.1:7704`

func main() {
	signals := make(chan os.Signal, 2) // the order to end, and the one to end at once
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(os.Args[1:], os.Environ(), signals, os.Stdout, os.Stderr))
}

// run answers the exit code.
func run(args, env []string, signals <-chan os.Signal, out, errs io.Writer) int {
	var f flags
	told := false // -h and --version have said all there is to say
	parser, err := kong.New(&f, kong.Name("roused"), kong.Description(description), kong.Writers(out, errs),
		kong.Vars{"version": "roused " + version()}, kong.Exit(func(int) { told = true }))
	if err == nil {
		_, err = parser.Parse(args)
	}
	switch {
	case told:
		return 0
	case err != nil:
		fmt.Fprintf(errs, "roused: %v; see roused -h\n", err)
		return 2
	}
	if err := serve(context.Background(), f, env, signals, out, errs); err != nil {
		if !errors.Is(err, errLogged) {
			fmt.Fprintf(errs, "roused: %v\n", err)
		}
		return 1
	}
	return 0
}

// version is what the build knows of itself.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
