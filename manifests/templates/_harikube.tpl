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
