"""How the world reaches the services: CloudFormation's custom resources, and the command line."""
