"""Every layer and loss against every oracle of gradients."""
