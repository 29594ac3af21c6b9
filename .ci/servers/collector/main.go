// A collector for tests: takes traces, logs and metrics by OTLP, writes each request as a line of OTLP/JSON.
package main

import (
	"context"
	"log"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

// linesConfig names the file.
type linesConfig struct {
	Path string `mapstructure:"path"`
}

// lines writes before the request is answered, so that who sent it can read it.
func lines() exporter.Factory {
	var one sync.Mutex
	write := func(config component.Config, line []byte, err error) error {
		if err != nil {
			return err
		}
		one.Lock()
		defer one.Unlock()
		file, err := os.OpenFile(config.(*linesConfig).Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.Write(append(line, '\n'))
		return err
	}
	traces := func(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Traces, error) {
		return exporterhelper.NewTraces(ctx, set, config, func(_ context.Context, data ptrace.Traces) error {
			line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(data)
			return write(config, line, err)
		})
	}
	logs := func(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
		return exporterhelper.NewLogs(ctx, set, config, func(_ context.Context, data plog.Logs) error {
			line, err := (&plog.JSONMarshaler{}).MarshalLogs(data)
			return write(config, line, err)
		})
	}
	metrics := func(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Metrics, error) {
		return exporterhelper.NewMetrics(ctx, set, config, func(_ context.Context, data pmetric.Metrics) error {
			line, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(data)
			return write(config, line, err)
		})
	}
	config := func() component.Config { return &linesConfig{} }
	kind, level := component.MustNewType("lines"), component.StabilityLevelDevelopment
	return exporter.NewFactory(kind, config, exporter.WithTraces(traces, level),
		exporter.WithLogs(logs, level), exporter.WithMetrics(metrics, level))
}

func parts() (otelcol.Factories, error) {
	parts := otelcol.Factories{Telemetry: otelconftelemetry.NewFactory()}
	var err error
	if parts.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err != nil {
		return parts, err
	}
	parts.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](lines())
	return parts, err
}

func main() {
	files := []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory()}
	settings := otelcol.CollectorSettings{
		BuildInfo:              component.BuildInfo{Command: "otelcol", Description: "a collector for tests"},
		Factories:              parts,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{ProviderFactories: files}},
	}
	if err := otelcol.NewCommand(settings).Execute(); err != nil {
		log.Fatal(err)
	}
}
