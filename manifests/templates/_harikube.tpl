{{- /* The tag of the Kubernetes image. */ -}}
{{- define "harikube.kubernetes.tag" -}}
{{ .Values.kubernetes }}-{{ .Chart.AppVersion }}
{{- end -}}

{{- define "harikube.kubernetes.image" -}}
{{ .Values.images.registry }}/kubernetes:{{ include "harikube.kubernetes.tag" . }}
{{- end -}}

{{- /* The security context of a container that Pod Security calls restricted, with a read-only root. */ -}}
{{- define "harikube.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /*
The controllers that vCluster would name, which depend on what the user says, without cloud-node-lifecycle: Kubernetes 1.37 has
none of that name, and does not start when it is told to leave it out. The versions before have it, and it does nothing there.
With nodes of its own vCluster does not name it.
*/ -}}
{{- define "harikube.controllers" -}}
{{- $theirs := .Values.vcluster -}}
{{- if dig "privateNodes" "enabled" false $theirs -}}
[]
{{- else -}}
{{- $without := list "nodeipam" "persistentvolume-binder" "attachdetach" "persistentvolume-expander" "ttl" -}}
{{- if not (or (dig "controlPlane" "advanced" "virtualScheduler" "enabled" false $theirs)
               (dig "controlPlane" "distro" "k8s" "scheduler" "enabled" false $theirs)) -}}
{{- $without = append $without "nodelifecycle" -}}
{{- end -}}
{{- if dig "sync" "toHost" "resourceClaimTemplates" "enabled" false $theirs -}}
{{- $without = append $without "resourceclaim-controller" -}}
{{- end -}}
- --controllers=*,-{{ join ",-" $without }}
{{- end -}}
{{- end -}}

{{- /*
Whether the user's values have vCluster do what takes other rights on the host than ours: then it has those of its own chart, which
knows what each of its values takes.
*/ -}}
{{- define "harikube.rights.theirs" -}}
{{- range $name := list "sync" "integrations" "plugins" "plugin" "rbac" "privateNodes" "networking" -}}
{{- if hasKey $.Values.vcluster $name }}true{{ end -}}
{{- end -}}
{{- if omit (dig "experimental" dict .Values.vcluster) "syncSettings" }}true{{ end -}}
{{- end -}}

{{- /* The pod of the StatefulSet. */ -}}
{{- define "harikube.selector" -}}
app: vcluster
release: {{ .Release.Name }}
{{- end -}}

{{- define "harikube.labels" -}}
app.kubernetes.io/name: harikube
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/part-of: harikube
{{- end -}}

{{- /* Puts what our lists have in front of what the same lists of the user have: theirs add, and do not take away. */ -}}
{{- define "harikube.prepend" -}}
{{- $ours := index . 0 -}}
{{- $theirs := index . 1 -}}
{{- range $key, $value := $ours -}}
{{- $other := get $theirs $key -}}
{{- if and (kindIs "map" $value) (kindIs "map" $other) -}}
{{- include "harikube.prepend" (list $value $other) -}}
{{- else if and (kindIs "slice" $value) (kindIs "slice" $other) -}}
{{- $_ := set $theirs $key (concat $value $other) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The values for vCluster's chart: its own, ours, and the user's. */ -}}
{{- define "harikube.vcluster.values" -}}
{{- $own := .Files.Get "vcluster/values.yaml" | fromYaml -}}
{{- $ours := tpl (.Files.Get "vcluster.yaml") . | fromYaml -}}
{{- with get $ours "Error" }}{{ fail (printf "vcluster.yaml: %s" .) }}{{ end -}}
{{- $theirs := deepCopy .Values.vcluster -}}
{{- include "harikube.prepend" (list $ours $theirs) -}}
{{- mergeOverwrite $own $ours $theirs | toYaml -}}
{{- end -}}
