package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate collects everything that is wrong with c; nil when all is well.
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if c.Data.Dir == "" {
		fault("data.dir is empty; name a directory")
	}
	for _, err := range []error{
		within("data.shards", c.Data.Shards, 0, 1024),
		within("data.block_cache", c.Data.BlockCache, 8*MiB, 1*TiB),
		within("data.memtable", c.Data.Memtable, 1*MiB, 1*GiB),
		within("data.min_free_disk", c.Data.MinFreeDisk, 64*MiB, 1024*TiB),
		within("users.passivate_after", c.Users.PassivateAfter, time.Second, 24*time.Hour),
		within("users.mailbox", c.Users.Mailbox, 16, 65536),
		within("users.shard_mailbox", c.Users.ShardMailbox, 64, 1<<20),
		within("lease.ttl", c.Lease.TTL, 3*time.Second, 10*time.Minute),
		within("receipts.per_second", c.Receipts.PerSecond, 1, 1_000_000),
		c.Receipts.validate(),
		c.Cluster.validate(),
		within("limits.request_size", c.Limits.RequestSize, 64*KiB, 64*MiB),
		within("limits.calls_per_second", c.Limits.CallsPerSecond, 1, 1_000_000),
		within("limits.burst", c.Limits.Burst, 1, 1_000_000),
		within("limits.streams", c.Limits.Streams, 1, 100_000),
		within("shutdown.timeout", c.Shutdown.Timeout, time.Second, 10*time.Minute),
		oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error"),
		oneOf("log.format", c.Log.Format, "text", "json"),
		c.TLS.validate(),
		c.listens("grpc.listen", c.GRPC.Listen),
		c.listens("http.listen", c.HTTP.Listen),
	} {
		if err != nil {
			faults = append(faults, err)
		}
	}
	if c.Seal.KeyFile != "" && c.Seal.KeyEnv != "" {
		fault("seal.key_file and seal.key_env are both set; keep one")
	}
	return errors.Join(faults...)
}

// Enabled tells whether the ports speak TLS.
func (t TLS) Enabled() bool { return t.CertFile != "" && t.KeyFile != "" }

func (t TLS) validate() error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("tls.cert_file and tls.key_file belong together; set both or none")
	}
	if t.ClientCAFile != "" && !t.Enabled() {
		return errors.New("tls.client_ca_file needs tls.cert_file and tls.key_file")
	}
	return nil
}

// Enabled tells whether the node is open to others.
func (c Cluster) Enabled() bool { return c.Dir != "" }

var nodeName = regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`)

func (c Cluster) validate() error {
	if !c.Enabled() {
		if c.Join != "" {
			return errors.New("cluster.join needs cluster.dir, the directory with the certificates and keys of the cluster")
		}
		return nil
	}
	faults := []error{
		within("cluster.replace_after", c.ReplaceAfter, 30*time.Second, 7*24*time.Hour),
		within("cluster.transfer_speed", c.TransferSpeed, 1*MiB, 10*GiB),
		within("bytes of cluster.label", len(c.Label), 1, 64),
		within("bytes of cluster.zone", len(c.Zone), 0, 64),
		address("cluster.peers", c.Peers), address("cluster.actors", c.Actors), address("cluster.gossip", c.Gossip),
	}
	if !nodeName.MatchString(c.Name) {
		faults = append(faults, errors.New("cluster.name has more than 64 bytes, or others than A-Z a-z 0-9 . _ -"))
	}
	for _, seed := range c.Seeds() {
		faults = append(faults, address("cluster.join", seed))
	}
	for _, listen := range []string{c.Peers, c.Actors, c.Gossip} {
		host, _, _ := net.SplitHostPort(listen)
		if ip := net.ParseIP(host); c.Advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
			faults = append(faults, errors.New("cluster.advertise is empty, and a port of the cluster listens on all addresses; name the host at which other nodes reach this one"))
			break
		}
	}
	return errors.Join(faults...)
}

// Seeds are the addresses of Join.
func (c Cluster) Seeds() (all []string) {
	for seed := range strings.SplitSeq(c.Join, ",") {
		if seed = strings.TrimSpace(seed); seed != "" {
			all = append(all, seed)
		}
	}
	return all
}

// validate wants an address to which the path of a credential can be added.
func (r Receipts) validate() error {
	if r.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(r.PublicURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(r.PublicURL, "?#") || len(r.PublicURL) > 96 {
		return errors.New("receipts.public_url is no https address of at most 96 bytes without a query; write https://host or https://host/path")
	}
	return nil
}

// listens refuses an address that other machines can reach without TLS: API keys
// and push tokens would travel in the clear.
func (c *Config) listens(path, address string) error {
	host, err := hostOf(path, address)
	if err != nil {
		return err
	}
	if c.TLS.Enabled() || loopback(host) {
		return nil
	}
	return fmt.Errorf("%s %q can be reached from other machines, but TLS is off and API keys would travel in the clear; "+
		"set tls.cert_file and tls.key_file, or listen on 127.0.0.1", path, address)
}

func address(path, text string) error {
	_, err := hostOf(path, text)
	return err
}

func hostOf(path, address string) (host string, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%s is no address; write host:port, like 127.0.0.1:7701", path)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("%s has no port from 0 to 65535", path)
	}
	return host, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func within[T cmp.Ordered](path string, value, low, high T) error {
	if value < low || value > high {
		return fmt.Errorf("%s is %v; it must be from %v to %v", path, value, low, high)
	}
	return nil
}

func oneOf(path, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%s is %q; it must be one of %s", path, value, strings.Join(allowed, ", "))
	}
	return nil
}
