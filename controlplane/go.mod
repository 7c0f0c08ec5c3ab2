// The control plane of `make run`: a store, kube-apiserver and kube-controller-manager on this machine.
module harikube.io/controlplane

go 1.26.0
