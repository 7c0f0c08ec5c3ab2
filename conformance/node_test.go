package conformance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/moby/spdystream"
)

// standInNode does what the API sees of a node: every pod is bound to it, runs, is ready, and goes when it is deleted. It starts no
// container, and its port-forward leads to one address, whatever the pod and the port. The controllers around it are real.
type standInNode struct {
	kubectl   func(ctx context.Context, input string, args ...string) error
	to        string
	forwarded atomic.Int64 // connections
}

const standIn = "stand-in"

func (c *cluster) startNode(t *testing.T, forwardTo string) *standInNode {
	t.Helper()
	n := &standInNode{to: forwardTo}
	n.kubectl = func(ctx context.Context, input string, args ...string) error {
		cmd := c.kubectlCommand(ctx, args...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		gone := strings.Contains(string(out), "NotFound") || strings.Contains(string(out), "it is being terminated")
		if err != nil && ctx.Err() == nil && !gone {
			return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	kubelet := httptest.NewTLSServer(http.HandlerFunc(n.portForward))
	t.Cleanup(kubelet.CloseClientConnections) // Close would wait for what is still forwarded
	c.Apply(t, fmt.Sprintf(`{apiVersion: v1, kind: Node, metadata: {name: %s}, status: {addresses: [{type: InternalIP, address: 127.0.0.1}],
		daemonEndpoints: {kubeletEndpoint: {Port: %d}}, conditions: [{type: Ready, status: "True"}]}}`,
		standIn, kubelet.Listener.Addr().(*net.TCPAddr).Port))

	watch := c.kubectlCommand(t.Context(), "get", "pods", "-A", "-w", "-o", `jsonpath={.metadata.namespace}|{.metadata.name}|`+
		`{.spec.nodeName}|{.metadata.deletionTimestamp}|{.status.phase}|{.spec.containers[*].name}{"\n"}`)
	out, err := watch.StdoutPipe()
	if err == nil {
		err = watch.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			// The test sees it if it waits for the pod.
			if err := n.serve(t.Context(), strings.Split(lines.Text(), "|")); err != nil {
				t.Log("the node: ", err)
			}
		}
	})
	t.Cleanup(func() { // after the test's context has ended, which kills the command
		ended.Wait()
		_ = watch.Wait()
	})
	return n
}

func (c *cluster) kubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.plane.Kubeconfig, "KUBECACHEDIR="+filepath.Join(c.data, "kubectl-cache"), "KUBERC=off")
	return cmd
}

// serve does the next thing that a pod needs.
func (n *standInNode) serve(ctx context.Context, pod []string) error {
	if len(pod) != 6 {
		return fmt.Errorf("%q is no pod", pod)
	}
	namespace, name, node, deleted, phase, containers := pod[0], pod[1], pod[2], pod[3], pod[4], pod[5]
	switch {
	case deleted != "":
		return n.kubectl(ctx, "", "-n", namespace, "delete", "pod", name, "--grace-period=0", "--force", "--wait=false")
	case node == "":
		return n.kubectl(ctx, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Binding", "metadata": {"name": %q}, "target": {"kind": "Node", "name": %q}}`,
			name, standIn), "create", "--raw", "/api/v1/namespaces/"+namespace+"/pods/"+name+"/binding", "-f", "-")
	case phase == "Pending":
		var running []string
		for _, container := range strings.Fields(containers) {
			running = append(running, fmt.Sprintf(`{"name": %q, "ready": true, "started": true, "restartCount": 0, "image": "none", "imageID": "none",
				"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}`, container))
		}
		return n.kubectl(ctx, "", "-n", namespace, "patch", "pod", name, "--subresource=status", "--type=merge", "-p", fmt.Sprintf(
			`{"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [%s]}}`,
			strings.Join(running, ", ")))
	}
	return nil
}

// portForward is the kubelet's side of `kubectl port-forward`: a pair of streams for each connection.
func (n *standInNode) portForward(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/portForward/") || !strings.EqualFold(r.Header.Get("Upgrade"), "SPDY/3.1") {
		http.Error(w, "a stand-in for a node forwards ports by SPDY, and nothing else", http.StatusNotFound)
		return
	}
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "SPDY/3.1")
	w.Header().Set("X-Stream-Protocol-Version", "portforward.k8s.io")
	w.WriteHeader(http.StatusSwitchingProtocols)
	raw, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	connection, err := spdystream.NewConnection(raw, true)
	if err != nil {
		raw.Close()
		return
	}
	var mutex sync.Mutex
	errorStreams := map[string]*spdystream.Stream{}
	connection.Serve(func(stream *spdystream.Stream) {
		if stream.SendReply(http.Header{}, false) != nil {
			return
		}
		request := stream.Headers().Get("requestID")
		mutex.Lock()
		defer mutex.Unlock()
		if stream.Headers().Get("streamType") == "error" {
			errorStreams[request] = stream
			return
		}
		go n.forward(stream, errorStreams[request])
	})
}

func (n *standInNode) forward(stream, errorStream *spdystream.Stream) {
	n.forwarded.Add(1)
	defer stream.Close()
	if errorStream != nil {
		defer errorStream.Close()
	}
	target, err := net.Dial("tcp", n.to)
	if err != nil {
		if errorStream != nil {
			_, _ = errorStream.Write([]byte(err.Error()))
		}
		return
	}
	defer target.Close()
	go func() {
		_, err := io.Copy(target, stream)
		if err == nil || !errors.Is(err, net.ErrClosed) {
			_ = target.(*net.TCPConn).CloseWrite()
		}
	}()
	_, _ = io.Copy(stream, target)
}
