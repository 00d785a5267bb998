// ConfigurationApp
