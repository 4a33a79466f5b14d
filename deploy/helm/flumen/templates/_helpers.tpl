{{- define "flumen.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "flumen.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "flumen.labels" -}}
{{ include "flumen.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "flumen.secret" -}}
{{ .Values.api.existingSecret | default (include "flumen.name" .) }}
{{- end -}}

{{- /* A value of a setting in TOML. Helm's own toToml makes fractions of whole numbers. */ -}}
{{- define "flumen.toml" -}}
{{- if kindIs "map" . -}}
{{- $pairs := list -}}
{{- range $key, $value := . -}}
{{- $pairs = append $pairs (printf "%s = %s" (toRawJson $key) (include "flumen.toml" $value)) -}}
{{- end -}}
{ {{- join ", " $pairs -}} }
{{- else if kindIs "slice" . -}}
{{- $values := list -}}
{{- range . -}}
{{- $values = append $values (include "flumen.toml" .) -}}
{{- end -}}
[{{- join ", " $values -}}]
{{- else -}}
{{- toRawJson . -}}
{{- end -}}
{{- end -}}
