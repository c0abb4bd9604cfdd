{{- define "ip-diffusion.labels" -}}
app.kubernetes.io/name: ip-diffusion
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "ip-diffusion.commonLabels" -}}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "ip-diffusion.name" -}}
{{ printf "%s-%s" .root.Release.Name .component | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "ip-diffusion.image" -}}
{{ .root.Values.image.repository }}/{{ .image }}{{ if eq (.device | default "cpu") "cuda" }}-cuda{{ end }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* Of a service's values: with a card where it computes on one. */}}
{{- define "ip-diffusion.resources" -}}
{{- $card := dict }}
{{- if eq .device "cuda" }}{{ $card = dict "limits" (dict "nvidia.com/gpu" 1) }}{{ end }}
{{- toYaml (merge (deepCopy .resources) $card) }}
{{- end }}

{{- define "ip-diffusion.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "ip-diffusion.hasTls" -}}
{{- if or .Values.tls.secret .Values.tls.certManager.enabled }}yes{{ end }}
{{- end }}

{{- define "ip-diffusion.tlsSecret" -}}
{{ .Values.tls.secret | default (printf "%s-tls" .Release.Name) }}
{{- end }}

{{/* The secret with the token of whoever reads metrics; empty for none. */}}
{{- define "ip-diffusion.metricsSecret" -}}
{{- if .Values.metrics.enabled }}{{ .Values.metrics.tokenSecret }}{{ end }}
{{- end }}

{{/* The services check the same when they start; here it is said before anything is installed. */}}
{{- define "ip-diffusion.check" -}}
{{- $v := .Values }}
{{- if and $v.store.s3.address $v.store.claim }}{{ fail "wanted one of store.s3.address and store.claim; got both" }}{{ end }}
{{- if not (or $v.store.s3.address $v.store.claim) }}{{ fail "wanted store.s3.address or store.claim; got neither" }}{{ end }}
{{- if and $v.store.s3.address (not $v.store.s3.trainerSecret) $v.trainer.enabled }}{{ fail "store.s3.trainerSecret: wanted the name of a secret with access-key and secret-key" }}{{ end }}
{{- if and $v.store.s3.address (not $v.store.s3.samplerSecret) $v.sampler.enabled }}{{ fail "store.s3.samplerSecret: wanted the name of a secret with access-key and secret-key" }}{{ end }}
{{- if not $v.insecure }}
{{- if not (include "ip-diffusion.hasTls" .) }}{{ fail "wanted tls.secret or tls.certManager, or insecure: true" }}{{ end }}
{{- if not (or $v.auth.identitiesSecret $v.auth.oidc.issuer) }}{{ fail "wanted auth.identitiesSecret or auth.oidc, or insecure: true" }}{{ end }}
{{- end }}
{{- if and (include "ip-diffusion.metricsSecret" .) (not (include "ip-diffusion.hasTls" .)) }}{{ fail "metrics.tokenSecret: wanted tls.secret or tls.certManager beside it, as a token is sent over TLS only" }}{{ end }}
{{- if ge (int $v.sampler.drainSeconds) (int $v.sampler.terminationGraceSeconds) }}{{ fail "sampler.drainSeconds: wanted less than sampler.terminationGraceSeconds" }}{{ end }}
{{- if and $v.batch.enabled (not (and $v.batch.model $v.batch.out)) }}{{ fail "wanted batch.model and batch.out" }}{{ end }}
{{- end }}

{{- define "ip-diffusion.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "ip-diffusion.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Of the store. secret: the one with its keys. */}}
{{- define "ip-diffusion.storeEnv" -}}
{{- $s3 := .root.Values.store.s3 }}
{{- if $s3.address }}
- { name: IP_DIFFUSION_STORE, value: {{ $s3.address | quote }} }
- { name: IP_DIFFUSION_S3_ENDPOINT, value: {{ $s3.endpoint | quote }} }
- { name: IP_DIFFUSION_S3_REGION, value: {{ $s3.region | quote }} }
- { name: IP_DIFFUSION_S3_ACCESS_KEY_FILE, value: /run/secrets/store/access-key }
- { name: IP_DIFFUSION_S3_SECRET_KEY_FILE, value: /run/secrets/store/secret-key }
{{- if $s3.caSecret }}
- { name: IP_DIFFUSION_S3_CA_FILE, value: /run/secrets/store-ca/ca.crt }
{{- end }}
{{- end }}
{{- end }}

{{- define "ip-diffusion.storeMounts" -}}
{{- $v := .root.Values }}
- { name: tmp, mountPath: /tmp }
{{- if $v.store.claim }}
- { name: store, mountPath: /var/lib/ip-diffusion }
{{- else }}
- { name: store-keys, mountPath: /run/secrets/store, readOnly: true }
{{- if $v.store.s3.caSecret }}
- { name: store-ca, mountPath: /run/secrets/store-ca, readOnly: true }
{{- end }}
{{- end }}
{{- end }}

{{- define "ip-diffusion.storeVolumes" -}}
{{- $v := .root.Values }}
- { name: tmp, emptyDir: {} }
{{- if $v.store.claim }}
- { name: store, persistentVolumeClaim: { claimName: {{ $v.store.claim }} } }
{{- else }}
- { name: store-keys, secret: { secretName: {{ .secret }}, defaultMode: 0440 } }
{{- if $v.store.s3.caSecret }}
- { name: store-ca, secret: { secretName: {{ $v.store.s3.caSecret }} } }
{{- end }}
{{- end }}
{{- end }}

{{/* Of a service: TLS, who may call, metrics. */}}
{{- define "ip-diffusion.serviceEnv" -}}
{{- $v := .root.Values }}
{{- if include "ip-diffusion.hasTls" .root }}
- { name: IP_DIFFUSION_TLS_CERT_FILE, value: /run/secrets/tls/tls.crt }
- { name: IP_DIFFUSION_TLS_KEY_FILE, value: /run/secrets/tls/tls.key }
{{- end }}
{{- if $v.auth.identitiesSecret }}
- { name: IP_DIFFUSION_IDENTITIES_FILE, value: /run/secrets/identities/identities.json }
{{- end }}
{{- if $v.auth.oidc.issuer }}
- { name: IP_DIFFUSION_OIDC_ISSUER, value: {{ $v.auth.oidc.issuer | quote }} }
- { name: IP_DIFFUSION_OIDC_AUDIENCE, value: {{ $v.auth.oidc.audience | quote }} }
{{- end }}
{{- if $v.metrics.enabled }}
- { name: IP_DIFFUSION_METRICS_ADDRESS, value: '0.0.0.0:{{ .metricsPort }}' }
{{- if $v.metrics.tokenSecret }}
- { name: IP_DIFFUSION_METRICS_TOKEN_FILE, value: /run/secrets/metrics/token }
{{- else }}
# Without TLS and a token: the network policy says who reads metrics.
- { name: IP_DIFFUSION_METRICS_INSECURE, value: 'on' }
{{- end }}
{{- end }}
{{- if $v.insecure }}
- { name: IP_DIFFUSION_INSECURE, value: 'on' }
{{- end }}
{{- with $v.traces.endpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
{{- end }}
{{- end }}

{{- define "ip-diffusion.serviceMounts" -}}
{{- if include "ip-diffusion.hasTls" .root }}
- { name: tls, mountPath: /run/secrets/tls, readOnly: true }
{{- end }}
{{- if .root.Values.auth.identitiesSecret }}
- { name: identities, mountPath: /run/secrets/identities, readOnly: true }
{{- end }}
{{- if include "ip-diffusion.metricsSecret" .root }}
- { name: metrics-token, mountPath: /run/secrets/metrics, readOnly: true }
{{- end }}
{{- end }}

{{- define "ip-diffusion.serviceVolumes" -}}
{{- if include "ip-diffusion.hasTls" .root }}
- { name: tls, secret: { secretName: {{ include "ip-diffusion.tlsSecret" .root }}, defaultMode: 0440 } }
{{- end }}
{{- if .root.Values.auth.identitiesSecret }}
- { name: identities, secret: { secretName: {{ .root.Values.auth.identitiesSecret }}, defaultMode: 0440 } }
{{- end }}
{{- with include "ip-diffusion.metricsSecret" .root }}
- { name: metrics-token, secret: { secretName: {{ . }}, defaultMode: 0440 } }
{{- end }}
{{- end }}

{{/* The kubelet's own gRPC probe speaks no TLS, so readiness asks by the image's health command. */}}
{{- define "ip-diffusion.probes" -}}
startupProbe:
  exec: { command: [node, /app/health.mjs, {{ .component }}, live] }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 60
readinessProbe:
  exec: { command: [node, /app/health.mjs, {{ .component }}] }
  periodSeconds: 10
  timeoutSeconds: 5
# A service whose store is unavailable is live and not ready: a restart would not help it.
livenessProbe:
  exec: { command: [node, /app/health.mjs, {{ .component }}, live] }
  periodSeconds: 15
  timeoutSeconds: 10
  failureThreshold: 6
lifecycle:
  # Until the endpoints are gone, so that no new call comes to a pod that stops.
  preStop: { exec: { command: [sleep, '5'] } }
{{- end }}

{{- define "ip-diffusion.env" -}}
{{- range $name, $value := . }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}

{{- define "ip-diffusion.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* How commands reach the services of the release. */}}
{{- define "ip-diffusion.clientArguments" -}}
{{- if include "ip-diffusion.hasTls" .root }}
- --ca=/run/secrets/tls/ca.crt
{{- end }}
{{- if .root.Values.clientTokenSecret }}
- --token-file=/run/secrets/client/token
{{- end }}
{{- end }}

{{- define "ip-diffusion.clientMounts" -}}
{{- if include "ip-diffusion.hasTls" .root }}
- { name: tls-ca, mountPath: /run/secrets/tls, readOnly: true }
{{- end }}
{{- if .root.Values.clientTokenSecret }}
- { name: client, mountPath: /run/secrets/client, readOnly: true }
{{- end }}
{{- end }}

{{- define "ip-diffusion.clientVolumes" -}}
{{- if include "ip-diffusion.hasTls" .root }}
# Without the key.
- name: tls-ca
  secret:
    secretName: {{ include "ip-diffusion.tlsSecret" .root }}
    items: [{ key: ca.crt, path: ca.crt }]
{{- end }}
{{- if .root.Values.clientTokenSecret }}
- { name: client, secret: { secretName: {{ .root.Values.clientTokenSecret }}, defaultMode: 0440 } }
{{- end }}
{{- end }}
