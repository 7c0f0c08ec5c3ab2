// What runs in init containers of the Kubernetes image, which has no shell and no other programs.
module harikube.io/images/kubernetes/init

go 1.26.0
