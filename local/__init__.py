"""The local twin: the deployed system on this machine, without an AWS account.

`python -m local` starts an AWS emulator on loopback, closes the gaps it has with the bridges beside this file, deploys
what `sam build` made through real CloudFormation calls, and writes the shell exports that lead `aws`, boto3 and `ipam`
there. `local.twin` is the same for tests and the demo. Nothing in here is part of what is deployed to AWS.
"""
