// Command kube-controller-manager is Kubernetes' controller manager, built from the Kubernetes module with our patches.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of client-go
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build_info metric
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"

	_ "time/tzdata" // time zones of CronJobs, wherever the binary runs
)

func main() {
	os.Exit(cli.Run(app.NewControllerManagerCommand()))
}
