// The version of vCluster, whose chart the manifests are rendered from. The module is downloaded, not compiled.
module harikube.io/manifests/vcluster

go 1.26.3

require github.com/loft-sh/vcluster v0.36.1
