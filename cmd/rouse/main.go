// Command rouse talks to a server from the command line, and plays a whole
// demo without one. Each verb has its file.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// verbs is the command line. A verb is a struct with a method Run(*call) error;
// those that talk to a server embed remote.
type verbs struct {
	Demo       demoVerb       `cmd:"" help:"Play a day of a small IM on this machine: a server, fake vendors, two IM nodes."`
	ServeFakes serveFakesVerb `cmd:"" help:"Serve a fake APNs and a fake FCM, and write credentials for them."`
	Sim        simVerb        `cmd:"" help:"Play the days of a population of phones against real servers, and judge what they do."`
	Record     recordVerb     `cmd:"" help:"Pass the events of IM nodes on to a server, and write them down for rouse sim."`
	Bench      benchVerb      `cmd:"" help:"Measure the engine on this machine, against a bare apns2 loop and raw Pebble."`

	App        appVerb        `cmd:"" help:"Create and list apps."`
	Credential credentialVerb `cmd:"" help:"Keep the vendor accounts of an app."`
	Template   templateVerb   `cmd:"" help:"Keep the templates of notification texts of an app."`
	Webhook    webhookVerb    `cmd:"" help:"Set and show the addresses of an app that the server calls."`
	Key        keyVerb        `cmd:"" help:"Create, list and revoke API keys."`
	Certs      certsVerb      `cmd:"" help:"Make the secrets of a cluster, and certificates for its nodes."`

	Cluster clusterVerb `cmd:"" help:"Show and order the nodes of a cluster."`

	Bind     bindVerb     `cmd:"" help:"Tie a vendor token to a device."`
	Unbind   unbindVerb   `cmd:"" help:"Remove the tokens of a device."`
	Devices  devicesVerb  `cmd:"" help:"Show a user's devices, sessions and bindings."`
	Presence presenceVerb `cmd:"" help:"Report the session of a device."`
	Send     sendVerb     `cmd:"" help:"Send a message event to users."`
	Recall   recallVerb   `cmd:"" help:"Withdraw or change a message event."`
	Read     readVerb     `cmd:"" help:"Report that a user has read messages."`
	Badge    badgeVerb    `cmd:"" help:"Show or set what a device's badge counts from."`
	Outcomes outcomesVerb `cmd:"" help:"Show why a user's devices were or were not woken."`
	Explain  explainVerb  `cmd:"" help:"Show, step by step, what would become of a message."`
	Trace    traceVerb    `cmd:"" help:"Show, step by step, what became of a message, of a push, or of a user's messages."`
	Settings settingsVerb `cmd:"" help:"Show and change what users wish: modes, quiet times, what notifications show."`
	Count    countVerb    `cmd:"" help:"Show how many messages a user has not fetched."`
	Ban      banVerb      `cmd:"" help:"Keep a user from being woken, or lift that."`
	Erase    eraseVerb    `cmd:"" help:"Remove all that is kept for a user."`

	Backup  backupVerb  `cmd:"" help:"Write all that a node keeps into an archive."`
	Restore restoreVerb `cmd:"" help:"Make the data directory of a new cluster from an archive."`
	Recover recoverVerb `cmd:"" help:"Let a single node go on when most others are lost for good."`

	Version kong.VersionFlag `help:"Print the version."`
}

const description = `The command line of Rouse, an offline-push engine for IM back ends.

See it work with rouse demo. To use a server, start one with roused: the verbs find it and its operator key when they run in the same directory; elsewhere set ROUSE_SERVER and ROUSE_KEY.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run answers the exit code: 0 done, 1 failed, 2 the command line is wrong.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	var v verbs
	told := false // -h and --version have said all there is to say
	parser, err := kong.New(&v, kong.Name("rouse"), kong.Description(description), kong.Writers(out, errs),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": "rouse " + version(), "modes": modes}, kong.Exit(func(int) { told = true }))
	if err != nil {
		fmt.Fprintf(errs, "rouse: %v\n", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	selected, err := parser.Parse(args)
	switch {
	case told:
		return 0
	case err != nil:
		fmt.Fprintf(errs, "rouse: %v; -h after a verb tells how it is used\n", err)
		return 2
	}
	if err := selected.Run(&call{ctx: ctx, in: in, out: out, errs: errs, speech: speak(os.Getenv)}); err != nil {
		fmt.Fprintf(errs, "rouse: %v\n", err)
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
