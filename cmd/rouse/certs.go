package main

import (
	"github.com/rouse-im/rouse/cluster/certs"
)

type certsVerb struct {
	Init   certsInit   `cmd:"" help:"Make the authority of a cluster, and the keys of its gossip."`
	Issue  certsIssue  `cmd:"" help:"Write what a node on another machine needs, and renew it."`
	IMNode certsIMNode `cmd:"" name:"im-node" help:"Write what an IM node needs to send actor messages itself."`
}

type certsInit struct {
	Dir string `arg:"" help:"Directory of the cluster's secrets: cluster.dir of the nodes."`
}

// Help teaches by example.
func (*certsInit) Help() string {
	return `Makes what is missing and leaves the rest. The first node does so, too: this is for those who want the secrets before, or on a machine of their own.

Examples:

    rouse certs init rouse-cluster`
}

// Run makes the secrets.
func (v *certsInit) Run(c *call) error {
	if err := certs.Init(v.Dir); err != nil {
		return err
	}
	return c.say("The cluster's secrets are in %s. Whoever has ca.key can add nodes: keep it off the machines that do not need it.", v.Dir)
}

type certsIssue struct {
	Dir  string   `arg:"" help:"Directory that has ca.key."`
	Name string   `arg:"" help:"Name of the node, as in cluster.name."`
	Host []string `help:"DNS name or IP address that others reach the node at. May be given several times." placeholder:"HOST"`
	Out  string   `required:"" help:"Where the bundle is written; the node's cluster.dir." placeholder:"BUNDLE"`
}

// Help teaches by example.
func (*certsIssue) Help() string {
	return `A certificate is valid for a year, and for the same name a new one takes the place of the old: copy the bundle again, and the running node takes it up.

Examples:

    rouse certs issue rouse-cluster node-2 --host 10.0.0.2 --out node-2
    scp -r node-2 10.0.0.2:rouse-cluster`
}

// Run writes the bundle.
func (v *certsIssue) Run(c *call) error {
	seal, err := certs.Bundle(v.Dir, v.Name, v.Host, v.Out)
	if err != nil {
		return err
	}
	if err := c.say("What %s needs is in %s: copy it to the node's cluster.dir.", v.Name, v.Out); err != nil || seal {
		return err
	}
	return c.say("%s has no sealing keys yet. Copy seal.key there from the cluster's first node as well: without it the new node cannot read tokens and credentials.", v.Dir)
}

type certsIMNode struct {
	Dir  string   `arg:"" help:"Directory that has ca.key."`
	App  string   `arg:"" help:"App that the IM node may act for."`
	Name string   `arg:"" help:"Name of the IM node."`
	Host []string `help:"DNS name or IP address of the IM node. May be given several times." placeholder:"HOST"`
	Out  string   `required:"" help:"Where the certificate is written." placeholder:"DIR"`
}

// Help teaches by example.
func (*certsIMNode) Help() string {
	return `For trusted IM nodes in Go that send messages straight to the actors. All others use an API key, and need no certificate.

Examples:

    rouse certs im-node rouse-cluster chat im-1 --out im-1`
}

// Run writes the certificate.
func (v *certsIMNode) Run(c *call) error {
	if err := certs.IssueIMNode(v.Dir, v.App, v.Name, v.Host, v.Out); err != nil {
		return err
	}
	return c.say("What %s needs is in %s. It may send events and requests of the app %s, and nothing else.", v.Name, v.Out, v.App)
}
