// Package integration takes the place of the part of go.etcd.io/etcd/tests/v3/framework/integration
// that starts members: instead of servers inside the test process there is one server in a process of
// its own, and each member is a door to it.
//
// A member that stops closes its door, and all that came through it; the server goes on as the rest
// of a cluster would. The process itself stops with the last member. What only a real cluster has
// (members that come, go, or are cut off from each other) skips the test that asks for it.
//
// The names and what they promise to their callers are those of the original.
package integration

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/testutil"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	epb "go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	lockpb "go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	framecfg "go.etcd.io/etcd/tests/v3/framework/config"
	"go.etcd.io/etcd/tests/v3/framework/testutils"
)

const (
	RequestWaitTimeout = 5 * time.Second
	RequestTimeout     = 20 * time.Second

	ClusterName  = "etcd"
	BasePort     = 21000
	URLScheme    = "unix"
	URLSchemeTLS = "unixs"
	BaseGRPCPort = 30000
)

var (
	ElectionTicks = 10
	UniqueCount   int32
	UniqueNumber  int32

	TestTLSInfo                  = fixture("../fixtures", "server", "server")
	TestTLSInfoIP                = fixture("../fixtures", "server-ip", "server-ip")
	TestTLSInfoExpired           = fixture("./fixtures-expired", "server", "server")
	TestTLSInfoExpiredIP         = fixture("./fixtures-expired", "server-ip", "server-ip")
	TestTLSInfoWithSpecificUsage = fixture("../fixtures", "server-serverusage", "client-clientusage")

	DefaultTokenJWT = "jwt"
)

// fixture names the files of a certificate for the server and one for its clients.
func fixture(folder, server, client string) transport.TLSInfo {
	file := func(name string) string { return testutils.MustAbsPath(folder + "/" + name) }
	info := transport.TLSInfo{
		CertFile:       file(server + ".crt"),
		KeyFile:        file(server + ".key.insecure"),
		TrustedCAFile:  file("ca.crt"),
		ClientCertAuth: true,
	}
	if client != server {
		info.ClientCertFile, info.ClientKeyFile = file(client+".crt"), file(client+".key.insecure")
	}
	return info
}

type ClusterConfig struct {
	Size      int
	PeerTLS   *transport.TLSInfo
	ClientTLS *transport.TLSInfo

	DiscoveryURL string
	AuthToken    string

	QuotaBackendBytes      int64
	BackendBatchInterval   time.Duration
	MaxTxnOps              uint
	MaxRequestBytes        uint
	SnapshotCount          uint64
	SnapshotCatchUpEntries uint64

	GRPCKeepAliveMinTime        time.Duration
	GRPCKeepAliveInterval       time.Duration
	GRPCKeepAliveTimeout        time.Duration
	GRPCAdditionalServerOptions []grpc.ServerOption

	ClientMaxCallSendMsgSize int
	ClientMaxCallRecvMsgSize int

	UseIP     bool
	UseBridge bool
	UseTCP    bool

	EnableLeaseCheckpoint   bool
	LeaseCheckpointInterval time.Duration
	LeaseCheckpointPersist  bool

	WatchProgressNotifyInterval time.Duration
	MaxLearners                 int
	DisableStrictReconfigCheck  bool
	CorruptCheckTime            time.Duration
	Metrics                     string
}

type Cluster struct {
	Cfg           *ClusterConfig
	Members       []*Member
	LastMemberNum int

	mu     sync.Mutex
	server *server
}

// NewCluster returns a cluster that answers, with a client for each of its members.
func NewCluster(t testutil.TB, cfg *ClusterConfig) *Cluster {
	t.Helper()
	assertInTestContext(t)
	testutil.SkipTestIfShortMode(t, "clusters are not for short tests")

	c := &Cluster{Cfg: cfg}
	for range cfg.Size {
		c.Members = append(c.Members, c.MustNewMember(t))
	}
	c.Launch(t)
	return c
}

// MustNewMember returns a member that is not launched.
func (c *Cluster) MustNewMember(t testutil.TB) *Member {
	if c.server == nil {
		c.server = newServer(t, c.Cfg)
	}
	m := newMember(t, fmt.Sprintf("m%d", c.LastMemberNum), c.LastMemberNum, c.Cfg, c.server)
	c.LastMemberNum++
	return m
}

func (c *Cluster) Launch(t testutil.TB) {
	for _, m := range c.Members {
		if err := m.Launch(); err != nil {
			c.Terminate(t)
			t.Fatalf("member %s: %v", m.Name, err)
		}
	}
}

// Terminate ends the server. t is nil where a cluster is used by several tests.
func (c *Cluster) Terminate(t testutil.TB) {
	for _, m := range c.Members {
		if m.Client != nil {
			m.Client.Close()
		}
	}
	for _, m := range c.Members {
		m.Terminate(t)
	}
}

func (c *Cluster) TakeClient(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Members[i].Client = nil
}

func (c *Cluster) Client(i int) *clientv3.Client { return c.Members[i].Client }

func (c *Cluster) RandClient() *clientv3.Client {
	return c.Client(rand.Intn(len(c.Members)))
}

func (c *Cluster) Endpoints() []string {
	var urls []string
	for _, m := range c.Members {
		urls = append(urls, m.GRPCURL)
	}
	return urls
}

// ClusterClient returns a client of all members that is closed after the test.
func (c *Cluster) ClusterClient(t testing.TB, options ...framecfg.ClientOption) (*clientv3.Client, error) {
	cfg := clientv3.Config{
		Endpoints:          c.Endpoints(),
		DialTimeout:        5 * time.Second,
		DialOptions:        []grpc.DialOption{grpc.WithBlock()},
		MaxCallSendMsgSize: c.Cfg.ClientMaxCallSendMsgSize,
		MaxCallRecvMsgSize: c.Cfg.ClientMaxCallRecvMsgSize,
	}
	if c.Cfg.ClientTLS != nil {
		tls, err := c.Cfg.ClientTLS.ClientConfig()
		if err != nil {
			return nil, err
		}
		cfg.TLS = tls
	}
	for _, option := range options {
		option(&cfg)
	}
	client, err := newClientV3(cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { client.Close() })
	return client, nil
}

func WithAuth(user, password string) framecfg.ClientOption {
	return func(cfg any) {
		c := cfg.(*clientv3.Config)
		c.Username, c.Password = user, password
	}
}

func WithEndpoints(endpoints []string) framecfg.ClientOption {
	return func(cfg any) { cfg.(*clientv3.Config).Endpoints = endpoints }
}

func (c *Cluster) NewClientV3(i int) (*clientv3.Client, error) { return NewClientV3(c.Members[i]) }

// MakeSingleNodeClients returns a function, safe for concurrent use, that makes clients of the first
// member and adds them to the list.
func MakeSingleNodeClients(t testutil.TB, c *Cluster, clients *[]*clientv3.Client) func() *clientv3.Client {
	return makeClients(t, c, clients, func() int { return 0 })
}

// MakeMultiNodeClients is MakeSingleNodeClients for members at random.
func MakeMultiNodeClients(t testutil.TB, c *Cluster, clients *[]*clientv3.Client) func() *clientv3.Client {
	return makeClients(t, c, clients, func() int { return rand.Intn(len(c.Members)) })
}

func makeClients(t testutil.TB, c *Cluster, clients *[]*clientv3.Client, member func() int) func() *clientv3.Client {
	var mu sync.Mutex
	*clients = nil
	return func() *clientv3.Client {
		client, err := c.NewClientV3(member())
		if err != nil {
			t.Fatalf("no client: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		*clients = append(*clients, client)
		return client
	}
}

func CloseClients(t testutil.TB, clients []*clientv3.Client) {
	for _, client := range clients {
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// GRPCAPI is what ToGRPC returns; the order of the fields is the one in which it fills them.
type GRPCAPI struct {
	Cluster     pb.ClusterClient
	KV          pb.KVClient
	Lease       pb.LeaseClient
	Watch       pb.WatchClient
	Maintenance pb.MaintenanceClient
	Auth        pb.AuthClient
	Lock        lockpb.LockClient
	Election    epb.ElectionClient
}

// WaitLeader returns the first member that runs: any of them leads as well as another.
func (c *Cluster) WaitLeader(t testing.TB) int { return c.WaitMembersForLeader(t, c.Members) }

func (c *Cluster) WaitMembersForLeader(t testing.TB, members []*Member) int {
	for i, m := range members {
		if m.running() {
			return i
		}
	}
	t.Fatal("no member runs")
	return -1
}

func WaitClientV3(t testutil.TB, kv clientv3.KV) { WaitClientV3WithKey(t, kv, "/") }

// WaitClientV3WithKey returns when the key can be read.
func WaitClientV3WithKey(t testutil.TB, kv clientv3.KV, key string) {
	ctx, cancel := context.WithTimeout(context.Background(), RequestTimeout)
	defer cancel()
	for {
		_, err := kv.Get(ctx, key)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the client gets no answer: %v", err)
		}
		time.Sleep(framecfg.TickDuration)
	}
}

// What follows needs a real cluster.

const (
	noOtherMembers = "needs members that join or leave; there is one server"
	noPartition    = "needs members that do not reach each other; there is one server"
	noLeaderLost   = "needs a member without a leader; the one server always leads"
)

func (c *Cluster) AddMember(t testutil.TB) types.URLs {
	t.Skip(noOtherMembers)
	return nil
}

func (c *Cluster) AddMemberByURL(t testutil.TB, _ *clientv3.Client, _ string) error {
	t.Skip(noOtherMembers)
	return nil
}

func (c *Cluster) RemoveMember(t testutil.TB, _ *clientv3.Client, _ uint64) error {
	t.Skip(noOtherMembers)
	return nil
}

func (c *Cluster) AddAndLaunchLearnerMember(t testutil.TB) { t.Skip(noOtherMembers) }

func (c *Cluster) InitializeMemberWithResponse(t testutil.TB, _ *Member, _ *clientv3.MemberAddResponse) {
	t.Skip(noOtherMembers)
}

func (c *Cluster) GetLearnerMembers() ([]*pb.Member, error) { return nil, nil }

// ProtoMembers and WaitMembersMatch go with members that join or leave.
func (c *Cluster) ProtoMembers() []*pb.Member { return nil }

func (c *Cluster) WaitMembersMatch(t testutil.TB, _ []*pb.Member) { t.Skip(noOtherMembers) }

func (c *Cluster) WaitNoLeader() { panic(noLeaderLost) }

func (c *Cluster) WaitMembersNoLeader([]*Member) { panic(noLeaderLost) }

func (m *Member) InjectPartition(t testutil.TB, _ ...*Member) { t.Skip(noPartition) }

func (m *Member) RecoverPartition(t testutil.TB, _ ...*Member) { t.Skip(noPartition) }

func (m *Member) Pause() { panic(noPartition) }

func (m *Member) Resume() { panic(noPartition) }

// environment reads a variable that the runner always sets.
func environment(name string) string {
	value := os.Getenv(name)
	if value == "" {
		panic(name + " is not set: these tests are run by conformance/etcdsuites")
	}
	return value
}
