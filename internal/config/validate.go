package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
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
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s is no address; write host:port, like 127.0.0.1:7701", path)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%s has no port from 0 to 65535", path)
	}
	if c.TLS.Enabled() || loopback(host) {
		return nil
	}
	return fmt.Errorf("%s %q can be reached from other machines, but TLS is off and API keys would travel in the clear; "+
		"set tls.cert_file and tls.key_file, or listen on 127.0.0.1", path, address)
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
