package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/testutil"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/pkg/v3/grpctesting"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"
	framecfg "go.etcd.io/etcd/tests/v3/framework/config"
	"go.etcd.io/etcd/tests/v3/framework/testutils"
)

// noticedWithin is how long clients get to notice a closed door. A member of etcd announces its end and
// waits until its clients know.
const noticedWithin = 50 * time.Millisecond

// Member is a door to the server of its cluster, and a client that comes through it.
type Member struct {
	config.ServerConfig
	UniqNumber    int
	MemberNumber  int
	Port          string
	PeerTLSInfo   *transport.TLSInfo
	ClientTLSInfo *transport.TLSInfo
	DialOptions   []grpc.DialOption

	// Server is for the compiler: no test that runs looks into the server.
	Server *etcdserver.EtcdServer

	GRPCURL string
	// ServerClient is kept where a test puts a client, and closed with the member.
	ServerClient *clientv3.Client
	Client       *clientv3.Client

	KeepDataDirTerminate     bool
	ClientMaxCallSendMsgSize int
	ClientMaxCallRecvMsgSize int
	UseIP                    bool
	UseBridge                bool
	UseTCP                   bool
	IsLearner                bool

	LogObserver *testutils.LogObserver

	server  *server
	door    *bridge       // nil while the member does not run
	stopped chan struct{} // closed while the member does not run
}

func newMember(t testutil.TB, name string, number int, cfg *ClusterConfig, s *server) *Member {
	m := &Member{
		UniqNumber:               number,
		MemberNumber:             number,
		PeerTLSInfo:              cfg.PeerTLS,
		ClientTLSInfo:            cfg.ClientTLS,
		Server:                   &etcdserver.EtcdServer{},
		ClientMaxCallSendMsgSize: cfg.ClientMaxCallSendMsgSize,
		ClientMaxCallRecvMsgSize: cfg.ClientMaxCallRecvMsgSize,
		UseIP:                    cfg.UseIP,
		UseBridge:                cfg.UseBridge,
		UseTCP:                   cfg.UseTCP,
		server:                   s,
		stopped:                  make(chan struct{}),
	}
	m.Name = name
	m.DataDir = s.folder
	m.ElectionTicks = ElectionTicks
	m.TickMs = uint(framecfg.TickDuration / time.Millisecond)
	m.MaxTxnOps = cfg.MaxTxnOps
	if m.MaxTxnOps == 0 {
		m.MaxTxnOps = embed.DefaultMaxTxnOps
	}
	m.MaxRequestBytes = cfg.MaxRequestBytes
	if m.MaxRequestBytes == 0 {
		m.MaxRequestBytes = embed.DefaultMaxRequestBytes
	}
	m.QuotaBackendBytes = cfg.QuotaBackendBytes
	m.PeerURLs = types.MustNewURLs([]string{"http://localhost:2380"})
	m.Logger, m.LogObserver = memberLogger(t, name)
	if err := m.listen(); err != nil {
		t.Fatalf("member %s: %v", name, err)
	}
	m.door.Close() // it opens when the member starts
	m.door = nil
	close(m.stopped)
	return m
}

func memberLogger(t testutil.TB, name string) (*zap.Logger, *testutils.LogObserver) {
	core, observer := testutils.NewLogObserver(zapcore.InfoLevel)
	both := zap.WrapCore(func(c zapcore.Core) zapcore.Core { return zapcore.NewTee(c, core) })
	return zaptest.NewLogger(t, zaptest.Level(zapcore.InfoLevel), zaptest.WrapOptions(both)).Named(name), observer
}

// listen opens the door where it was before; the first time its address becomes that of the member.
func (m *Member) listen() error {
	host, network, scheme := "localhost", "unix", "unix"
	if m.UseIP {
		host = "127.0.0.1"
	}
	if m.UseTCP {
		network, scheme = "tcp", "http"
	}
	port := m.Port
	switch {
	case port != "":
	case m.UseTCP:
		port = "0"
	default:
		port = m.Name
	}
	if m.ClientTLSInfo != nil {
		scheme = map[string]string{"unix": "unixs", "http": "https"}[scheme]
	}
	listener, err := net.Listen(network, net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	_, m.Port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return err
	}
	m.GRPCURL = scheme + "://" + listener.Addr().String()
	m.door = newBridge(m.server, listener)
	return nil
}

func (m *Member) running() bool { return m.door != nil }

// Launch starts the member, and the server with the first of the members.
func (m *Member) Launch() error {
	if m.running() {
		return nil
	}
	if err := m.server.open(m.ServerConfig); err != nil {
		return err
	}
	m.ClientURLs = types.URLs{url.URL{Scheme: "http", Host: m.server.metrics}}
	if err := m.listen(); err != nil {
		return err
	}
	m.stopped = make(chan struct{})
	if m.Client == nil {
		client, err := NewClientV3(m)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, m.server.logTail())
		}
		m.Client = client
	}
	return nil
}

// Close stops the member; it returns when the server has stopped, if it was the last one.
func (m *Member) Close() { m.close(stopInOrder) }

func (m *Member) close(how manner) {
	if !m.running() {
		return
	}
	if m.server.opened == 1 {
		m.server.close(how)
		m.door.Close()
	} else {
		m.door.Close()
		m.server.close(how)
		time.Sleep(noticedWithin)
	}
	m.door = nil
	if m.ServerClient != nil {
		m.ServerClient.Close()
		m.ServerClient = nil
	}
	close(m.stopped)
}

func (m *Member) Stop(testutil.TB) { m.Close() }

func (m *Member) Restart(testutil.TB) error { return m.Launch() }

// Terminate stops the member; the data goes with the last one.
func (m *Member) Terminate(t testutil.TB) {
	m.close(stopAtOnce)
	if t != nil && t.Failed() {
		t.Logf("the server's log ends with\n%s", m.server.logTail())
	}
	if m.server.opened == 0 && !m.KeepDataDirTerminate {
		if err := os.RemoveAll(m.server.folder); err != nil && t != nil {
			t.Fatal(err)
		}
	}
}

func (m *Member) StopNotify() <-chan struct{} { return m.stopped }

// ReadyNotify is ready: Launch returns when the member answers.
func (m *Member) ReadyNotify() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

func (m *Member) WaitOK(t testutil.TB) { m.WaitStarted(t) }

func (m *Member) WaitStarted(t testutil.TB) { WaitClientV3(t, m.Client) }

// Clone is for the compiler: it goes with members that join.
func (m *Member) Clone(testutil.TB) *Member { panic(noOtherMembers) }

func (m *Member) Bridge() Bridge {
	if !m.UseBridge {
		panic("the configuration of the cluster does not ask for bridges")
	}
	return m.door
}

func (m *Member) GRPCPortNumber() string { return m.Port }

func (m *Member) URL() string { return m.ClientURLs[0].String() }

func (m *Member) ElectionTimeout() time.Duration {
	return time.Duration(m.ElectionTicks) * framecfg.TickDuration
}

// ID is what the server says; all members of a cluster have the same.
func (m *Member) ID() types.ID {
	ctx, cancel := context.WithTimeout(context.Background(), RequestTimeout)
	defer cancel()
	answer, err := pb.NewMaintenanceClient(m.Client.ActiveConnection()).Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return 0
	}
	return types.ID(answer.Header.MemberId)
}

// RecordedRequests is for the compiler: a server in a process of its own tells nobody what it was asked.
func (m *Member) RecordedRequests() []grpctesting.RequestInfo { return nil }

// NewClientV3 returns a client of the member, to be closed by the caller.
func NewClientV3(m *Member) (*clientv3.Client, error) {
	cfg := clientv3.Config{
		Endpoints:          []string{m.GRPCURL},
		DialTimeout:        5 * time.Second,
		DialOptions:        append([]grpc.DialOption{grpc.WithBlock()}, m.DialOptions...),
		MaxCallSendMsgSize: m.ClientMaxCallSendMsgSize,
		MaxCallRecvMsgSize: m.ClientMaxCallRecvMsgSize,
		Logger:             m.Logger.Named("client"),
	}
	if m.ClientTLSInfo != nil {
		tls, err := m.ClientTLSInfo.ClientConfig()
		if err != nil {
			return nil, err
		}
		cfg.TLS = tls
	}
	return newClientV3(cfg)
}

// Metric returns the value of the first sample whose line begins with the name and has all labels, or
// nothing.
func (m *Member) Metric(name string, labels ...string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: RequestTimeout}
	answer, err := client.Get(m.URL() + "/metrics")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
lines:
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, name) {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(line, label) {
				continue lines
			}
		}
		fields := strings.Fields(line)
		return fields[1], nil
	}
	return "", nil
}

// MemberConfig is what tests say of a member that they start themselves.
type MemberConfig struct {
	Name         string
	MemberNumber int
	PeerTLS      *transport.TLSInfo
	ClientTLS    *transport.TLSInfo
	UseBridge    bool
	UseTCP       bool
}

// MustNewMember returns a member with a server of its own, which is not launched.
func MustNewMember(t testutil.TB, cfg MemberConfig) *Member {
	c := &ClusterConfig{PeerTLS: cfg.PeerTLS, ClientTLS: cfg.ClientTLS, UseBridge: cfg.UseBridge, UseTCP: cfg.UseTCP}
	return newMember(t, cfg.Name, cfg.MemberNumber, c, newServer(t, c))
}

// CheckLeaderTransition is for the compiler.
func CheckLeaderTransition(*Member, uint64) uint64 { panic(noLeaderLost) }
