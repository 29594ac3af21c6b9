// A collector for tests: takes traces by OTLP, writes each request as a line of OTLP/JSON.
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
	traces := func(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Traces, error) {
		path := config.(*linesConfig).Path
		write := func(_ context.Context, data ptrace.Traces) error {
			line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(data)
			if err != nil {
				return err
			}
			one.Lock()
			defer one.Unlock()
			file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			defer file.Close()
			_, err = file.Write(append(line, '\n'))
			return err
		}
		return exporterhelper.NewTraces(ctx, set, config, write)
	}
	config := func() component.Config { return &linesConfig{} }
	kind := component.MustNewType("lines")
	return exporter.NewFactory(kind, config, exporter.WithTraces(traces, component.StabilityLevelDevelopment))
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
