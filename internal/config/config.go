// Package config reads the one configuration file of a server and the
// environment variables that override it. It holds no logic: internal/app maps
// its sections to the Options of the packages that they configure.
//
// The file is YAML of two levels, section and key. A key that is not known is an
// error: a misspelt limit must not be lost in silence. ROUSE_<SECTION>_<KEY> in
// the environment beats the file, and the file beats the defaults.
package config

import "time"

// Config is everything that an operator may set. The key tag is the name in the
// file, the doc tag its comment in the example.
type Config struct {
	Data     Data     `key:"data" doc:"Where facts are kept."`
	GRPC     GRPC     `key:"grpc" doc:"Intake: the port of IM nodes."`
	HTTP     HTTP     `key:"http" doc:"JSON calls, administration, health and metrics."`
	TLS      TLS      `key:"tls" doc:"Needed as soon as a port is open to other machines."`
	Seal     Seal     `key:"seal" doc:"Keys that seal push tokens and credentials on disk."`
	Users    Users    `key:"users" doc:"Actors of users."`
	Lease    Lease    `key:"lease" doc:"Leases of IM nodes."`
	Cluster  Cluster  `key:"cluster" doc:"Several nodes that hold replicas of each other's facts."`
	Receipts Receipts `key:"receipts" doc:"What vendors report of pushes after they took them."`
	Limits   Limits   `key:"limits" doc:"Bounds on what callers may ask."`
	Log      Log      `key:"log" doc:"Messages of the server, on standard error."`
	Shutdown Shutdown `key:"shutdown" doc:"Orderly end."`
}

// Data configures the store.
type Data struct {
	Dir         string `key:"dir" doc:"Directory of the store. Made when it is missing."`
	Shards      int    `key:"shards" doc:"Shards that users are spread over, at most 1024; fixed at the first start. 0: as stored, 64 in a new store."`
	BlockCache  Size   `key:"block_cache" doc:"Memory for blocks read from disk, 8MiB or more."`
	Memtable    Size   `key:"memtable" doc:"Memory of one write buffer, 1MiB-1GiB; up to four exist at a time."`
	MinFreeDisk Size   `key:"min_free_disk" doc:"Intake is refused while the disk has less free, 64MiB or more."`
}

// GRPC configures the gRPC port.
type GRPC struct {
	Listen string `key:"listen" doc:"host:port. Port 0 takes a free one."`
}

// HTTP configures the HTTP port.
type HTTP struct {
	Listen string `key:"listen" doc:"host:port. Port 0 takes a free one."`
}

// TLS configures both ports.
type TLS struct {
	CertFile     string `key:"cert_file" doc:"Certificate chain (PEM). Read again when it changes."`
	KeyFile      string `key:"key_file" doc:"Private key (PEM) of the certificate."`
	ClientCAFile string `key:"client_ca_file" doc:"Roots (PEM) that must have signed the certificates of callers. Empty: none is asked for."`
}

// Seal names the sealing keys, never holds them.
type Seal struct {
	KeyFile string `key:"key_file" doc:"File with the sealing keys. Empty: seal.key in the data directory, made at the first start."`
	KeyEnv  string `key:"key_env" doc:"Name of an environment variable that holds the sealing keys instead of a file."`
}

// Users configures the actors of users.
type Users struct {
	PassivateAfter time.Duration `key:"passivate_after" doc:"A user idle for this long leaves memory, 1s-24h."`
	Mailbox        int           `key:"mailbox" doc:"Commands that wait for one user, 16-65536; more are refused."`
	ShardMailbox   int           `key:"shard_mailbox" doc:"Commands that wait for one shard, 64-1048576; more are refused."`
}

// Lease configures the leases of IM nodes.
type Lease struct {
	TTL time.Duration `key:"ttl" doc:"How long the sessions of a silent IM node stay online, 3s-10m."`
}

// Cluster configures what a node and others are to each other.
type Cluster struct {
	Dir           string        `key:"dir" doc:"Directory with the certificates and keys of the cluster, made by the first node when it is missing. Empty: this node is alone and opens no port to others."`
	Label         string        `key:"label" doc:"Name of the cluster; nodes of another one are not listened to. 1-64 bytes."`
	Name          string        `key:"name" doc:"Name of this node, which stays the same over restarts, 1-64 of A-Z a-z 0-9 . _ -. Empty: host name and HTTP port."`
	Join          string        `key:"join" doc:"host:port of the gossip port of members, with commas between; names are looked up. Empty: this node founds a cluster if it holds none yet."`
	Peers         string        `key:"peers" doc:"host:port for replicas. Port 0 takes a free one."`
	Actors        string        `key:"actors" doc:"host:port for messages between actors. Port 0 takes a free one."`
	Gossip        string        `key:"gossip" doc:"host:port for gossip, TCP and UDP. Port 0 takes a free one."`
	Advertise     string        `key:"advertise" doc:"Host at which other nodes and clients reach this one. Empty: the hosts of the ports above; needed when they are 0.0.0.0."`
	Zone          string        `key:"zone" doc:"Failure domain of this node, at most 64 bytes; replicas go to different ones. Empty: none."`
	ReplaceAfter  time.Duration `key:"replace_after" doc:"A node away for this long is replaced by others, if there are enough, 30s-168h."`
	TransferSpeed Size          `key:"transfer_speed" doc:"Most bytes per second that a node gives to replicas that catch up, and takes, 1MiB-10GiB; down to a sixteenth of it while that makes its own writes slow."`
}

// Receipts configures what vendors report.
type Receipts struct {
	PublicURL string `key:"public_url" doc:"https://host[/path] under which vendors reach the HTTP port, at most 96 bytes. Empty: they are not asked to report."`
	PerSecond int    `key:"per_second" doc:"Receipts per second of one credential, 1-1000000; what is beyond waits a little and is then refused."`
}

// Limits bounds what callers may ask.
type Limits struct {
	RequestSize    Size `key:"request_size" doc:"Largest request, 64KiB-64MiB."`
	CallsPerSecond int  `key:"calls_per_second" doc:"Calls and batches per second of one API key, 1-1000000."`
	Burst          int  `key:"burst" doc:"Calls and batches of one API key at a time, 1-1000000."`
	Streams        int  `key:"streams" doc:"Open calls and streams of one connection, 1-100000."`
}

// Log configures the log.
type Log struct {
	Level  string `key:"level" doc:"debug, info, warn or error."`
	Format string `key:"format" doc:"text or json."`
}

// Shutdown configures the end of the server.
type Shutdown struct {
	Timeout time.Duration `key:"timeout" doc:"Time for calls and pushes under way to end, 1s-10m."`
}

// Default is the configuration of a server that was told nothing: it listens on
// loopback only and keeps its facts in ./rouse-data.
func Default() Config {
	return Config{
		Data: Data{
			Dir:        "rouse-data",
			BlockCache: 128 * MiB, Memtable: 32 * MiB, MinFreeDisk: 1 * GiB,
		},
		GRPC:  GRPC{Listen: "127.0.0.1:7701"},
		HTTP:  HTTP{Listen: "127.0.0.1:7700"},
		Users: Users{PassivateAfter: 10 * time.Minute, Mailbox: 1024, ShardMailbox: 65536},
		Lease: Lease{TTL: 15 * time.Second},
		Cluster: Cluster{
			Label: "rouse", Peers: "127.0.0.1:7702", Actors: "127.0.0.1:7703", Gossip: "127.0.0.1:7704",
			ReplaceAfter: 10 * time.Minute, TransferSpeed: 64 * MiB,
		},
		Receipts: Receipts{PerSecond: 5000},
		Limits:   Limits{RequestSize: 4 * MiB, CallsPerSecond: 5000, Burst: 10000, Streams: 1024},
		Log:      Log{Level: "info", Format: "text"},
		Shutdown: Shutdown{Timeout: 20 * time.Second},
	}
}
