// Package apimachinery runs cases of Kubernetes' own k8s.io/kubernetes/test/e2e/apimachinery, unmodified, on the control plane
// that `make run` starts. Its suite in k8s.io/kubernetes/test/e2e, which begins with a look at nodes and what runs on them, is
// left out.
package apimachinery

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"k8s.io/kubernetes/test/e2e/framework"

	"harikube.io/conformance/kubectl"
	"harikube.io/conformance/postgres"
	"harikube.io/controlplane"

	// The cases, and the features that they are marked with.
	_ "k8s.io/kubernetes/test/e2e/apimachinery"
	_ "k8s.io/kubernetes/test/e2e/feature"
)

const (
	policyFile = "../../manifests/skip-controller-manager-metadata-caching.yaml"
	collector  = "Garbage collector"
	// cases is how many there are, so that none is lost when Kubernetes gives them another name.
	cases = 11
)

var (
	store    = flag.String("store", "sqlite", "sqlite or postgres")
	labelled = flag.Bool("labelled", false, "apply the policy that labels custom resources, as make run does")
	focus    = flag.String("focus", "", "only the cases whose names match")
)

// node is ready, and that is all: no kubelet runs Pods there, and no scheduler puts any there. Cases ask nodes for the number of Pods
// that they may create.
const node = `
apiVersion: v1
kind: Node
metadata: {name: paper}
spec: {taints: []}
status:
  allocatable: {pods: "110"}
  capacity: {pods: "110"}
  conditions: [{type: Ready, status: "True", reason: Test, message: nobody is there}]
`

const probe = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: probes.policy.test}
spec:
  group: policy.test
  scope: Cluster
  names: {plural: probes, singular: probe, kind: Probe}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`

func TestGarbageCollector(t *testing.T) {
	plane := start(t)
	setUp(t, plane)

	reports := runCases(t, plane.Kubeconfig)
	for _, report := range reports {
		t.Run(name()+"/"+report.LeafNodeText, func(t *testing.T) {
			t.Logf("%v after %.0f s", report.State, report.RunTime.Seconds())
			if report.State != types.SpecStatePassed {
				t.Error(report.FailureMessage(), report.FailureLocation(), report.CapturedGinkgoWriterOutput)
			}
		})
	}
	if *focus == "" && len(reports) != cases {
		t.Errorf("%d cases were run, not %d", len(reports), cases)
	}

	deleted, err := plane.StoreMetric(t.Context(), "harikube_gc_deleted_total")
	if err != nil {
		t.Fatal(err)
	}
	freed, err := plane.StoreMetric(t.Context(), "harikube_gc_freed_total")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("HariKube deleted %.0f objects and freed %.0f of owners", deleted, freed)
	if *focus == "" && ((deleted > 0) != *labelled || (freed > 0) != *labelled) {
		t.Errorf("labelled: %t, but HariKube deleted %.0f objects and freed %.0f of owners", *labelled, deleted, freed)
	}
}

// name is what this run is called.
func name() string {
	if *labelled {
		return *store + "-labelled"
	}
	return *store
}

func start(t *testing.T) *controlplane.ControlPlane {
	t.Helper()
	bin, err := filepath.Abs("../../build/bin")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := ""
	if *store == "postgres" {
		endpoint = postgres.Database(t, bin)
	}
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join("../../build/test-data/apimachinery", name())
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	plane, err := controlplane.Start(t.Context(), controlplane.Config{
		Bin:   bin,
		Data:  data,
		Port:  port,
		Store: controlplane.HariKube{Endpoint: endpoint},
		Log:   func(line string) { t.Log(line) },
		// Nobody renews the node's lease.
		ControllerManagerArgs: []string{"--node-monitor-grace-period=24h"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plane.Stop(context.Background()) })
	return plane
}

// setUp makes the node, and waits until the API server goes by the policy, which it learns of by a watch.
func setUp(t *testing.T, plane *controlplane.ControlPlane) {
	t.Helper()
	bin, err := filepath.Abs("../../build/bin")
	if err != nil {
		t.Fatal(err)
	}
	k := kubectl.New(bin, plane.Kubeconfig, t.TempDir())
	k.Apply(t, node)
	k.Until(t, kubectl.Is(""), "get", "node", "paper", "-o", "jsonpath={.spec.taints}")
	if !*labelled {
		return
	}
	k.Do(t, "apply", "-f", policyFile)
	k.Apply(t, probe)
	k.Established(t, "probes.policy.test")
	file := filepath.Join(t.TempDir(), "probe.yaml")
	if err := os.WriteFile(file, []byte("{apiVersion: policy.test/v1, kind: Probe, metadata: {name: probe}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.Until(t, kubectl.Is(`{"skip-controller-manager-metadata-caching":""}`), "create", "--dry-run=server", "-f", file,
		"-o", "jsonpath={.metadata.labels}")
}

// runCases runs them one after the other and returns what became of each.
func runCases(t *testing.T, kubeconfig string) types.SpecReports {
	t.Helper()
	flags := flag.NewFlagSet("", flag.PanicOnError)
	framework.RegisterCommonFlags(flags)
	framework.RegisterClusterFlags(flags)
	if err := flags.Parse([]string{"--kubeconfig=" + kubeconfig, "--provider=skeleton", "--dump-logs-on-failure=false"}); err != nil {
		t.Fatal(err)
	}
	framework.AfterReadingAllFlags(&framework.TestContext)

	pattern := collector + ".*" + *focus
	chosen := regexp.MustCompile(pattern)
	var reports types.SpecReports
	ginkgo.ReportAfterSuite("what became of each", func(report ginkgo.Report) {
		reports = slices.DeleteFunc(report.SpecReports, func(r types.SpecReport) bool {
			return r.LeafNodeType != types.NodeTypeIt || !chosen.MatchString(r.FullText())
		})
	})
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.FocusStrings = []string{pattern}
	suite.RandomizeAllSpecs = false
	gomega.RegisterFailHandler(ginkgo.Fail)
	ginkgo.RunSpecs(failures{}, "Kubernetes", suite, reporter) // focus looks at this name, too
	return reports
}

// failures of the whole are those of its parts.
type failures struct{}

func (failures) Fail() {}
