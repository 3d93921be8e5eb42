package main

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLog writes to stderr, and to the configured file as well.
func newLog(c logConfig) (*zap.Logger, error) {
	level, err := zap.ParseAtomicLevel(c.Level)
	if err != nil {
		return nil, &usageError{Sentence: err.Error(), Hint: "log.level is debug, info, warn or error"}
	}
	config := zap.NewProductionConfig()
	config.Level = level
	config.Encoding = "console"
	config.DisableStacktrace = true
	config.DisableCaller = true
	config.Sampling = nil
	config.EncoderConfig.EncodeTime = zapcore.ISO8601TimeEncoder
	config.EncoderConfig.EncodeLevel = zapcore.CapitalLevelEncoder
	config.OutputPaths = []string{"stderr"}
	if c.File != "" {
		config.OutputPaths = append(config.OutputPaths, c.File)
	}
	return config.Build()
}
