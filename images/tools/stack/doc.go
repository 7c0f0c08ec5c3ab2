// Package stack tests that what the manifests say is a whole that runs. It does for a pod what a node does, without one: volumes
// with their owners and modes, init containers in their order, containers with their own root, user, groups, environment, mounts
// and arguments, the probes, and the end with its hooks, signals and grace period. All of it is in namespaces of its own for
// network, processes and mounts, so that the ports are those of the manifest and nothing is left behind.
//
// vCluster's program is not built here. In its place, in its container, are the kube-apiserver and kube-controller-manager that
// the init container has copied for it, with the flags that it would pass them. Not in it are limits of memory and CPU, network
// policies, and the ports that vCluster itself has.
package stack
