"""Roll-out of an endpoint on AWS: Lambda, ECS, EC2, and a pipeline that does it by itself."""
