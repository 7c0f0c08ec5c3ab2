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

{{- /* The values for vCluster's chart: its own, ours, and the user's. */ -}}
{{- define "harikube.vcluster.values" -}}
{{- $own := .Files.Get "vcluster/values.yaml" | fromYaml -}}
{{- $ours := tpl (.Files.Get "vcluster.yaml") . | fromYaml -}}
{{- with get $ours "Error" }}{{ fail (printf "vcluster.yaml: %s" .) }}{{ end -}}
{{- mergeOverwrite $own $ours .Values.vcluster | toYaml -}}
{{- end -}}
