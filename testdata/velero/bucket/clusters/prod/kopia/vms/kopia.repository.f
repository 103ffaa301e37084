{
  "tool": "https://github.com/kopia/kopia",
  "buildVersion": "v0-unofficial",
  "buildInfo": "-(unknown_revision)",
  "uniqueID": "mDJI1evgQcGdz2UmaZYo3GBNd5zY2Ep1FUW9x+WjszA=",
  "keyAlgo": "scrypt-65536-8-1",
  "encryption": "AES256_GCM",
  "encryptedBlockFormat": "MMLP5ZQRHMONzn6eTDCj0ul05hANFDe5IOMbLD2HHUeM6aVwlRWrhvGwpKrmcacQ2LjCbFnHO9LsM5vENHb2vZLN97V7KTquEw/6pVd/42UUAx0s0AVYTIEHW9RGryghdpjyls/th59oayes2aBhncpEtBPdSDm9aMcXxPt/tiqNuYMUJmb47CR4dCuHhgJO/4JCTTxAPCsML6cVheWE7MiHx9pvpNt1Nivo08HfA8V9MBYDtjWBO0u8TQd4VHlOwfZLk4MfZR9SoOBkIoWY4LBjikpihxPof/3JxUPxp5eCoXGRDe3fY6ARTeWBVhvBeyKPtKqr7aX5ARADEBlqscZebY92DpJQz+pI3Tif3koF6/EohmoPkfo8EyWFoUpaYzFZONad5JufxHKbKrl8nTRJQ8KmPBfzuxf0KbQTp3dstJsXbmh32m+nGE0DvhLtUUyaK2Z4VPWyPR0mP47FEiTHp941Qql3+kEvXNd6TcVMMyEjpqMVfL2Hgc7HQIFWpNNxHw6RmzbyHFB/3aCmDtMpPWUNBPDZGGHZ14pp27cuQFiyrgd9grJoLoyyEXMkt+Hd5EbOSh//tg0vxgCvsjaVkfgnlgRDhTxI7e+Qya7qxs/qRVNb3WWkr7Wv1QdmTyCeYVVkZcI/+20nYd1MX7rS6dNMbAu3hK7bvzMG1ifBfi8y7cZ764rn7iaeGcUELcqhIG9KNpDEiN0wJkjzivpwkE569egUMjhAJyWzc2fdOkQ7rIkDqowoCmOprlXQJLkVPOx3RjgmVT7kVnbC5qOq+CcdCmw="
}
