package main

import (
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/rouse-im/rouse/internal/config"
)

// overrides are the variables that the flags stand for.
func (f flags) overrides() (env []string, err error) {
	for name, value := range map[string]string{
		"DATA_DIR": f.Data, "CLUSTER_DIR": f.Cluster, "CLUSTER_NAME": f.Name, "CLUSTER_JOIN": strings.Join(f.Join, ","),
	} {
		if value != "" {
			env = append(env, "ROUSE_"+name+"="+value)
		}
	}
	if f.Port == 0 {
		return env, nil
	}
	const ports = 5
	if f.Port < 1 || f.Port > 65536-ports {
		return nil, errors.New("--port must leave room for five ports, from 1 to 65531")
	}
	return env, nil
}

// portsFrom gives the listeners of c the ports from first on.
func portsFrom(c *config.Config, first int) {
	for i, listen := range []*string{&c.HTTP.Listen, &c.GRPC.Listen, &c.Cluster.Peers, &c.Cluster.Actors, &c.Cluster.Gossip} {
		host, _, err := net.SplitHostPort(*listen)
		if err != nil {
			continue // validated before
		}
		*listen = net.JoinHostPort(host, strconv.Itoa(first+i))
	}
}
